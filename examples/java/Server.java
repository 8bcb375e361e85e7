import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.cert.X509Certificate;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;

/** An HTTPS server that knows its callers by the names in their certificates, and loads renewed files at once. */
public final class Server {
    private static final String CALLER = "java-client.shop.svc";
    private static final int DNS_NAME = 2;

    public static void main(String[] arguments) throws IOException {
        int port = Integer.parseInt(Stores.env("PORT", "8443"));
        String address = Stores.env("ADDRESS", "");
        ExecutorService workers = Executors.newCachedThreadPool();
        try (ServerSocket listening =
                new ServerSocket(port, 50, address.isEmpty() ? null : InetAddress.getByName(address))) {
            while (true) {
                Socket raw = listening.accept();
                workers.execute(() -> serve(raw));
            }
        }
    }

    private static void serve(Socket raw) {
        try (raw) {
            raw.setSoTimeout(10_000);
            SSLSocketFactory factory = Stores.context().getSocketFactory();
            try (SSLSocket socket = (SSLSocket) factory.createSocket(raw, null, raw.getPort(), false)) {
                socket.setUseClientMode(false);
                socket.setNeedClientAuth(true);
                socket.setEnabledProtocols(new String[] {"TLSv1.3", "TLSv1.2"});
                answer(socket);
            }
        } catch (IOException | GeneralSecurityException error) {
            System.err.println("refused: " + Stores.why(error));
        }
    }

    /** Accepts only the caller's name: the chain alone says only that the caller has some certificate. */
    private static void answer(SSLSocket socket) throws IOException, GeneralSecurityException {
        BufferedReader in = new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.US_ASCII));
        for (String line = in.readLine(); line != null && !line.isEmpty(); line = in.readLine()) {}
        X509Certificate peer = (X509Certificate) socket.getSession().getPeerCertificates()[0];
        boolean mayCall = peer.getSubjectAlternativeNames().contains(List.of(DNS_NAME, CALLER));
        String text = mayCall
            ? "hello " + CALLER + ", certificate " + peer.getSerialNumber().toString(16)
            : "may not call: " + peer.getSubjectAlternativeNames();
        String status = mayCall ? "200 OK" : "403 Forbidden";
        OutputStream out = socket.getOutputStream();
        out.write(("HTTP/1.0 " + status + "\r\n\r\n" + text + "\n").getBytes(StandardCharsets.US_ASCII));
        out.flush();
    }
}
