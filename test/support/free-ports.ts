import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below the range from which systems take ports for connections that go out: what is free here stays free. */
const FIRST = 12_000;
const LAST = 19_900;

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}

/** The first of `count` free ports in a row on loopback; drawn, so that tests that run side by side rarely meet. */
export async function freePorts(count: number): Promise<number> {
  for (;;) {
    const first = FIRST + Math.floor(Math.random() * (LAST - FIRST - count));
    const free = await Promise.all(Array.from({ length: count }, (_, i) => isFree(first + i)));
    if (free.every(Boolean)) return first;
  }
}
