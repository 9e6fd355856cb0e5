import { createServer, type Server, type Socket } from "node:net";

/** The program at the other end has closed the socket, or died. */
export class PeerGone extends Error {
  override readonly name = "PeerGone";
}

/** A unix socket on which one program connects and both sides send lines. */
export class LineSocket {
  readonly path: string;
  readonly #server: Server;
  readonly #peer: Promise<Socket>;
  #onLine: (line: string) => void = () => {};
  #onClose: () => void = () => {};
  #rest = "";
  #socket: Socket | undefined;

  private constructor(path: string, server: Server) {
    this.path = path;
    this.#server = server;
    this.#peer = new Promise((resolve) => {
      server.once("connection", (socket) => {
        this.#socket = socket;
        socket.on("error", () => {});
        socket.on("data", (chunk: Buffer) => this.#receive(chunk.toString("latin1")));
        socket.on("close", () => this.#onClose());
        resolve(socket);
      });
    });
  }

  static listen(path: string): Promise<LineSocket> {
    return new Promise((resolve, reject) => {
      const server = createServer();
      const line = new LineSocket(path, server);
      server.once("error", reject);
      server.listen(path, () => resolve(line));
    });
  }

  /** Resolves once the program has connected. */
  async connected(): Promise<void> {
    await this.#peer;
  }

  onLine(listener: (line: string) => void): void {
    this.#onLine = listener;
  }

  /** Called when the program has closed its side, or died. */
  onClose(listener: () => void): void {
    this.#onClose = listener;
  }

  send(line: string): void {
    if (this.#socket === undefined || this.#socket.destroyed) this.#onClose();
    else this.#socket.write(`${line}\n`);
  }

  close(): void {
    this.#socket?.destroy();
    this.#server.close();
  }

  #receive(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#onLine(line);
  }
}
