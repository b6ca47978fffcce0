import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import test, { afterEach } from 'node:test';
import fc from 'fast-check';
import { concat, u16, u32 } from '../../ledger/bytes.ts';
import { sized } from '../../ledger/tpm/wire.ts';
import { execute } from './command.ts';
import { openTpm } from './open.ts';
import { responseError } from './response-codes.ts';
import { TpmError, type TpmErrorCode } from './tpm.ts';
import { openSocket, type TpmTransport } from './transport.ts';

const servers: net.Server[] = [];
const sockets = new Set<net.Socket>();
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
});

/** A chip that answers each command as `answer` says; nothing where it gives nothing. */
async function chipThat(answer: (command: Buffer) => Uint8Array | undefined): Promise<number> {
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('data', (command) => {
      const response = answer(command);
      if (response !== undefined) socket.write(response);
    });
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as net.AddressInfo).port;
}

const connect = (port: number) => openSocket({ host: '127.0.0.1', port });
const code = (expected: TpmErrorCode) => (error: unknown) =>
  error instanceof TpmError && (error.code === expected || assert.fail(`${error.code}: ${error.message}`));
const answerOf = (responseCode: number, body: Uint8Array = new Uint8Array(0)) =>
  concat(u16(0x8001), u32(10 + body.length), u32(responseCode), body);

test('a chip that is silent is given up at the deadline', async () => {
  const transport = await connect(await chipThat(() => undefined));
  await assert.rejects(transport.exchange(Uint8Array.of(1), 30), code('timeout'));
  await assert.rejects(transport.exchange(Uint8Array.of(1), 30), code('io'));
  await transport.close();
});

test('a response of another length than it says, or beyond the bound, breaks the link', async () => {
  for (const response of [
    concat(u16(0x8001), u32(9), u32(0)),
    concat(u16(0x8001), u32(8_193), u32(0)),
    concat(answerOf(0), Uint8Array.of(0)),
  ]) {
    const transport = await connect(await chipThat(() => response));
    await assert.rejects(transport.exchange(Uint8Array.of(1), 5_000), code('io'));
    await transport.close();
  }
});

test('a chip that asks again is asked again, but not for ever', async () => {
  let asked = 0;
  const busy = (command: Buffer) => answerOf(command.readUInt32BE(6) === 0x144 && asked++ < 2 ? 0x922 : 0);
  const transport = await connect(await chipThat(busy));
  await execute(transport, { name: 'Startup', parameters: u16(0) });
  assert.equal(asked, 3);
  await transport.close();
  const never: TpmTransport = {
    managed: true,
    exchange: async () => answerOf(0x922),
    close: async () => undefined,
  };
  await assert.rejects(execute(never, { name: 'Startup' }), code('busy'));
});

test('each response code that is known becomes its error, with what to do', () => {
  const codes: readonly (readonly [number, TpmErrorCode])[] = [
    [0x98e, 'bad-auth'],
    [0x9a2, 'bad-auth'],
    [0x1df, 'integrity'],
    [0x921, 'lockout'],
    [0x902, 'object-memory'],
    [0x143, 'unsupported'],
    [0x920, 'busy'],
    [0x101, 'io'],
    [0x7ff, 'io'],
  ];
  for (const [responseCode, expected] of codes) {
    const error = responseError('Quote', responseCode);
    assert.equal(error.code, expected);
    assert.equal(error.responseCode, responseCode);
    assert.match(error.message, /^TPM: Quote: .+; .+/);
  }
});

test('whatever a chip answers, the driver throws nothing but a TpmError', async () => {
  let response: Uint8Array = answerOf(0);
  const port = await chipThat(() => response);
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 80 }),
    fc.uint8Array({ maxLength: 60 }).map((bytes) => concat(u32(0x80000000), u32(bytes.length), bytes)),
    fc.uint8Array({ maxLength: 60 }).map((bytes) => sized(bytes)),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(0x8001, 0x8002),
      fc.constantFrom(0, 0, 0, 0x8b, 0x9f),
      body,
      async (tag, rc, bytes) => {
        response = concat(u16(tag), u32(10 + bytes.length), u32(rc), bytes);
        const spec = `tcp:127.0.0.1:${port}`;
        try {
          const tpm = await openTpm(spec, 'public');
          for (const use of [() => tpm.ek(), () => tpm.ak(), () => tpm.attest(new Uint8Array(32))]) {
            await use().catch((error: unknown) => {
              if (!(error instanceof TpmError)) throw error;
            });
          }
        } catch (error) {
          if (!(error instanceof TpmError)) throw error;
        }
      },
    ),
    { numRuns: 60 },
  );
});
