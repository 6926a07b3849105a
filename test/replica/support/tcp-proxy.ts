import { connect, createServer, type Server, type Socket } from 'node:net';
import { cleanUp } from '../../cleanup.js';

/** A link that a test can cut: connections to its port go on to `target`. */
export class TcpProxy {
  /** Port of the server behind it. */
  target: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isCut = false;

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.target = target;
  }

  static async open(t: Parameters<typeof cleanUp>[0], target: number): Promise<TcpProxy> {
    const server = createServer();
    const proxy = new TcpProxy(server, target);
    server.on('connection', (socket) => proxy.#pass(socket));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanUp(t, () => {
      proxy.cut();
      server.close();
    });
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  /** Nothing passes any more, and nobody is told: the sockets stay open, as behind a dead switch. */
  freeze(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** All connections end, and none is made. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  /** New connections pass again. Those from before end. */
  restore(target = this.target): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
    this.target = target;
    this.#isCut = false;
  }

  #pass(near: Socket): void {
    if (this.#isCut) {
      near.destroy();
      return;
    }
    const far = connect(this.target, '127.0.0.1');
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(one);
      one.on('data', (bytes) => other.write(bytes));
      one.on('error', () => other.destroy());
      one.on('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
  }
}
