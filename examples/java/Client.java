import java.io.IOException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;

/** A client of `Server`, which shows its certificate and loads renewed files at once. */
public final class Client {
    public static void main(String[] arguments) {
        int requests = Integer.parseInt(Stores.env("REQUESTS", "1"));
        boolean failed = false;
        for (int done = 0; done < requests || requests == 0; done++) {
            try {
                System.out.println("ok " + ask());
            } catch (IOException | GeneralSecurityException error) {
                failed = true;
                System.out.println("failed " + Stores.why(error));
            }
        }
        System.exit(failed ? 1 : 0);
    }

    /** Makes one request on a connection of its own, with the current files. */
    private static String ask() throws IOException, GeneralSecurityException {
        String server = Stores.env("SERVER", "java-server.shop.svc:8443");
        String host = server.substring(0, server.lastIndexOf(':'));
        int port = Integer.parseInt(server.substring(host.length() + 1));
        String name = Stores.env("SERVER_NAME", host);
        try (Socket raw = new Socket(host, port);
                SSLSocket socket = (SSLSocket) Stores.context().getSocketFactory().createSocket(raw, name, port, true)) {
            socket.setSoTimeout(10_000);
            socket.setEnabledProtocols(new String[] {"TLSv1.3", "TLSv1.2"});
            SSLParameters parameters = socket.getSSLParameters();
            parameters.setEndpointIdentificationAlgorithm("HTTPS"); // compares the name, which a bare socket does not
            socket.setSSLParameters(parameters);
            String request = "GET / HTTP/1.0\r\nHost: " + name + "\r\n\r\n";
            socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
            String answer = new String(socket.getInputStream().readAllBytes(), StandardCharsets.US_ASCII);
            String body = answer.substring(answer.indexOf("\r\n\r\n") + 4).strip();
            if (!answer.startsWith("HTTP/1.0 200 ")) {
                throw new IOException(body);
            }
            return body;
        }
    }
}
