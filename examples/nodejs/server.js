// An HTTPS server that knows its callers by the names in their certificates, and loads renewed files.
const fs = require("node:fs");
const https = require("node:https");
const path = require("node:path");

const FILES = process.env.FILES || "/var/run/mtls";
const CALLERS = ["nodejs-client.shop.svc"];

// kubelet moves the link ..data, which changes all files at once.
const version = () => fs.realpathSync(path.join(FILES, "..data"));
const load = (folder) => ({
  cert: fs.readFileSync(path.join(folder, "tls.crt")),
  key: fs.readFileSync(path.join(folder, "tls.key")),
  ca: fs.readFileSync(path.join(folder, "ca.crt")),
  minVersion: "TLSv1.2",
});

let current = version();
const server = https.createServer({ ...load(current), requestCert: true, rejectUnauthorized: true }, (request, response) => {
  // The chain alone says only that the caller has some certificate.
  const peer = request.socket.getPeerCertificate();
  const names = (peer.subjectaltname || "").split(", ").filter((name) => name.startsWith("DNS:")).map((name) => name.slice(4));
  const caller = names.find((name) => CALLERS.includes(name));
  response.writeHead(caller ? 200 : 403);
  response.end(caller ? `hello ${caller}, certificate ${peer.serialNumber.toLowerCase()}\n` : `may not call: ${names[0]}\n`);
});
server.on("tlsClientError", (error, socket) => console.error("refused:", socket.authorizationError || error.message));
server.listen(Number(process.env.PORT || 8443), process.env.ADDRESS);

// Checks every second, because not every file watch notices that a link moves.
setInterval(() => {
  try {
    const found = version();
    if (found !== current) {
      server.setSecureContext(load(found));
      current = found;
    }
  } catch (error) {
    console.error("kept the old files:", error.message); // they moved just now; the next check loads them
  }
}, 1000);
