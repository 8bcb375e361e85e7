// Judges as Java does: java Judge.java FOLDER...
// A folder has ca.crt and tls.crt, which is judged by the trust manager that TLS has by default; or store.p12, which is
// loaded by the password in store.password. A line for each is written: nothing where all is well, else what is not.

import java.io.FileInputStream;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.List;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;

public class Judge {
    public static void main(String[] folders) {
        for (String folder : folders) {
            System.out.println(verdict(Path.of(folder)).replaceAll("\\s+", " "));
        }
    }

    private static String verdict(Path folder) {
        try {
            if (Files.exists(folder.resolve("store.p12"))) {
                return load(folder);
            }
            KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
            store.load(null, null);
            for (Certificate root : certificates(folder.resolve("ca.crt"))) {
                store.setCertificateEntry("root " + store.size(), root);
            }
            TrustManagerFactory factory = TrustManagerFactory.getInstance("PKIX");
            factory.init(store);
            X509TrustManager manager = (X509TrustManager) factory.getTrustManagers()[0];
            List<X509Certificate> chain = new ArrayList<>();
            for (Certificate certificate : certificates(folder.resolve("tls.crt"))) {
                chain.add((X509Certificate) certificate);
            }
            manager.checkServerTrusted(chain.toArray(new X509Certificate[0]), "ECDHE_ECDSA");
            manager.checkClientTrusted(chain.toArray(new X509Certificate[0]), "EC");
            return "";
        } catch (Exception error) {
            return error.toString();
        }
    }

    private static String load(Path folder) throws Exception {
        String password = Files.readString(folder.resolve("store.password"));
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (InputStream content = new FileInputStream(folder.resolve("store.p12").toFile())) {
            store.load(content, password.toCharArray());
        }
        return store.size() > 0 ? "" : "empty";
    }

    private static Iterable<? extends Certificate> certificates(Path file) throws Exception {
        try (InputStream content = new FileInputStream(file.toFile())) {
            return CertificateFactory.getInstance("X.509").generateCertificates(content);
        }
    }
}
