import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A way to a local port that takes a while: what comes in goes on after `delayMs`, in order, as fast as it came. */
export class DelayedLink {
  readonly port: number;
  readonly #close: () => Promise<void>;

  private constructor(port: number, close: () => Promise<void>) {
    this.port = port;
    this.#close = close;
  }

  static async open(to: number, delayMs: number): Promise<DelayedLink> {
    const sockets = new Set<Socket>();
    const pass = (from: Socket, into: Socket): void => {
      sockets.add(from);
      from.setNoDelay(true);
      from.on('data', (bytes) => setTimeout(() => into.write(bytes), delayMs));
      from.on('close', () => {
        sockets.delete(from);
        setTimeout(() => into.destroy(), delayMs);
      });
      from.on('error', () => undefined);
    };
    const server = createServer((inbound) => {
      const outbound = connect(to, '127.0.0.1');
      pass(inbound, outbound);
      pass(outbound, inbound);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new DelayedLink((server.address() as AddressInfo).port, async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    });
  }

  close(): Promise<void> {
    return this.#close();
  }
}
