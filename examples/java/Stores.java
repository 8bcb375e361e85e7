import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** The stores of a mounted Secret. The identity names the Secret with their password. */
final class Stores {
    private static final Path FILES = Path.of(env("FILES", "/var/run/mtls"));
    private static final char[] PASSWORD = env("STORE_PASSWORD", "").toCharArray();

    private Stores() {}

    /** Makes a context from the current stores. kubelet moves the link ..data, which changes all files at once. */
    static SSLContext context() throws GeneralSecurityException, IOException {
        while (true) {
            try {
                Path folder = FILES.resolve("..data").toRealPath();
                KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
                keys.init(load(folder.resolve("keystore.p12")), PASSWORD);
                TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
                trust.init(load(folder.resolve("truststore.p12")));
                SSLContext context = SSLContext.getInstance("TLS");
                context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
                return context;
            } catch (NoSuchFileException moved) {
                // It moved it just now.
            }
        }
    }

    private static KeyStore load(Path path) throws GeneralSecurityException, IOException {
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (InputStream file = Files.newInputStream(path)) {
            store.load(file, PASSWORD);
        }
        return store;
    }

    /** Says why something failed, down to its first cause. */
    static String why(Throwable error) {
        return error.getCause() == null ? error.toString() : error + ", as " + why(error.getCause());
    }

    static String env(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null || value.isEmpty() ? otherwise : value;
    }
}
