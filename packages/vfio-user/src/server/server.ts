import type { Watch } from "@vfmig/linux";
import { serverSettings, type ServerSettings, type VfioUserServerOptions } from "./options.ts";
import { Session } from "./session.ts";
import { listenOn, type Listener } from "./socket-file.ts";

/** A device, served over vfio-user to one client at a time. */
export interface VfioUserServer extends AsyncDisposable {
  /** True from a client's connection until everything of it is released. */
  readonly busy: boolean;
  /** Settles when the server has ended: after `close`, or with the connection of `fd`. */
  readonly closed: Promise<void>;
  /** Disconnects the client, cleans up after it and stops listening. */
  close(): Promise<void>;
}

/**
 * Serves `options.device`. A second client waits in the socket's queue until the first has gone.
 *
 * @throws VfmigError `ERR_VFMIG_VFIO_USER_OPTIONS`, `ERR_VFMIG_SYSTEM_CALL` (cannot listen)
 * @example
 * ```ts
 * await using server = createVfioUserServer({ io: createLinuxIo(), device, path: "/run/vf0.sock" });
 * await server.closed;
 * ```
 */
export function createVfioUserServer(options: VfioUserServerOptions): VfioUserServer {
  const settings = serverSettings(options);
  if (options.fd !== undefined) return Server.onSocket(settings, options.fd);
  return Server.onPath(settings, options.path ?? "");
}

class Server implements VfioUserServer {
  readonly closed: Promise<void>;
  readonly #settings: ServerSettings;
  readonly #ended = Promise.withResolvers<void>();
  #listener: Listener | undefined;
  #watch: Watch | undefined;
  #session: Session | undefined;
  #closing = false;

  private constructor(settings: ServerSettings) {
    this.#settings = settings;
    this.closed = this.#ended.promise;
  }

  static onPath(settings: ServerSettings, path: string): Server {
    const server = new Server(settings);
    server.#listener = listenOn(settings.io, path);
    server.#await(server.#listener);
    return server;
  }

  static onSocket(settings: ServerSettings, fd: number): Server {
    const server = new Server(settings);
    server.#serve(fd);
    return server;
  }

  get busy(): boolean {
    return this.#session !== undefined;
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#stopListening();
    const session = this.#session;
    session?.connection.close();
    await session?.done;
    this.#ended.resolve();
    await this.closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Waits for the next client. While one is here nobody is accepted, so others wait in the queue. */
  #await(listener: Listener): void {
    this.#watch = this.#settings.io.watch(listener.fd, () => this.#accept(listener));
  }

  #accept(listener: Listener): void {
    let fd: number;
    try {
      fd = this.#settings.io.accept(listener.fd);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      this.#settings.logger.error(`vfio-user: cannot accept a client: ${text}`);
      return;
    }
    if (fd < 0) return;
    this.#watch?.[Symbol.dispose]();
    this.#watch = undefined;
    this.#serve(fd);
  }

  #serve(fd: number): void {
    const session = new Session(this.#settings, fd);
    this.#session = session;
    void this.#follow(session);
  }

  async #follow(session: Session): Promise<void> {
    await session.done;
    this.#session = undefined;
    if (this.#listener !== undefined) this.#await(this.#listener);
    else if (!this.#closing) this.#ended.resolve();
    if (session.connected) this.#settings.onClient("gone");
  }

  #stopListening(): void {
    this.#watch?.[Symbol.dispose]();
    this.#watch = undefined;
    this.#listener?.close();
    this.#listener = undefined;
  }
}
