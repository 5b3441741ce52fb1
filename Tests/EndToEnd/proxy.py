"""Between a client and an endpoint: what networks do."""

import contextlib
import socket
import threading


class Proxy:
    """Does to every connection what `harm` says, and to what the endpoint sends what `change` does."""

    def __init__(self, port, harm, change=lambda data: data):
        self.target, self.harm, self.change = port, harm, change
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.count = 0
        self.harmed = 0
        self.clients = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self.count += 1
                self.clients.append(client)
                threading.Thread(target=self.serve, args=(client, self.harm(self.count)), daemon=True).start()

    def serve(self, client, harm):
        with contextlib.suppress(OSError), client:
            self.harmed += harm is not None
            if harm == "reset":
                client.recv(100)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                return
            if harm == "503":
                head = client.recv(65536)
                body = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
                client.sendall(b"HTTP/1.1 503 Slow Down\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
                while head and client.recv(65536):
                    pass
                return
            with socket.create_connection(("127.0.0.1", self.target)) as server:
                threading.Thread(target=self.pump, args=(client, server, None), daemon=True).start()
                self.pump(server, client, 300 if harm == "truncate" else None, self.change)

    def pump(self, source, sink, limit, change=lambda data: data):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                data = change(data)
                if limit is not None:
                    data, limit = data[:limit], limit - len(data[:limit])
                sink.sendall(data)
                if limit == 0:
                    break
            sink.shutdown(socket.SHUT_WR)

    def cut(self):
        """Ends the connections that there are."""
        for client in self.clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.listener.close()
