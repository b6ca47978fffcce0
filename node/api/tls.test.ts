import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ConsoleFixture } from '../../test/support/console-fixture.ts';
import { Client } from '../cli/client.ts';
import type { Settings } from '../config/settings.ts';
import { selfSignedCertificate } from '../network/certificate.ts';
import type { BlocktreeNode } from '../node.ts';
import { openConsole, type RunningConsole } from './server.ts';

/** The console away from loopback: TLS or nothing, and a command line that knows its own node's certificate. */

const own = selfSignedCertificate();
let fixture: ConsoleFixture;
let dataFolder = '';
let running: RunningConsole;

before(async () => {
  fixture = await ConsoleFixture.start();
  ({ dataFolder } = fixture.node.options);
  writeFileSync(join(dataFolder, 'own.pem'), own.cert);
  writeFileSync(join(dataFolder, 'own.key'), own.key);
  writeFileSync(join(dataFolder, 'other.key'), selfSignedCertificate().key);
  running = await open({
    'console.host': '0.0.0.0',
    'console.certificate': 'own.pem',
    'console.key': 'own.key',
  });
  configure(new URL(running.url).port);
});
after(async () => {
  await running?.close();
  await fixture?.stop();
});

function open(change: Partial<Settings>): Promise<RunningConsole> {
  const { options } = fixture.node;
  const settings = { ...options.settings, 'console.port': 0, ...change } as Settings;
  const node: BlocktreeNode = { ...fixture.node, options: { ...options, settings } };
  return openConsole(node, dataFolder, undefined);
}

/** Tells the command line where the console is. */
function configure(port: string): void {
  const path = join(dataFolder, 'blocktree.toml');
  const text = readFileSync(path, 'utf8').replace(
    /\[console\][^[]*/,
    `[console]\nhost = "0.0.0.0"\nport = ${port}\ncertificate = "own.pem"\nkey = "own.key"\n\n`,
  );
  writeFileSync(path, text);
}

test('off loopback a console without a certificate does not open', async () => {
  for (const host of ['0.0.0.0', '::', '192.0.2.1', 'example.org'])
    await assert.rejects(open({ 'console.host': host }), { code: 'bad-configuration' }, host);
});

test('half an identity, a wrong key and a missing file are refused in words', async () => {
  const cases: [certificate: string, key: string, told: RegExp][] = [
    ['own.pem', '', /together/],
    ['', 'own.key', /together/],
    ['own.pem', 'other.key', /no certificate and its key/],
    ['own.pem', 'missing.key', /missing\.key cannot be read/],
  ];
  for (const [certificate, key, message] of cases) {
    const change = { 'console.certificate': certificate, 'console.key': key };
    await assert.rejects(open(change), { code: 'bad-configuration', message });
  }
});

test('it answers TLS and nothing else', async () => {
  assert.match(running.url, /^https:\/\/127\.0\.0\.1:\d+$/);
  assert.match(running.loginUrl(), /^https:/);
  const { port } = new URL(running.url);
  await assert.rejects(fetch(`http://127.0.0.1:${port}/api/v1/status`));
});

test('the command line talks to it, with bodies and without', async () => {
  const client = new Client(dataFolder);
  assert.equal((await client.get<{ version: string }>('/status')).version, 'test');
  const made = await client.send<{ id: string }>('POST', '/tokens', { name: 'made', role: 'viewer' });
  assert.equal(await client.send('DELETE', `/tokens/${made.id}`), undefined);
  const { body } = new Response('content');
  assert(body !== null);
  const put = client.request('PUT', '/files/a', { body: body as never, duplex: 'half' });
  await assert.rejects(put, { code: 'not-enough-hosts' });
});

test('a session over TLS is only ever sent over TLS', async () => {
  const client = new Client(dataFolder);
  const { code } = await client.send<{ code: string }>('POST', '/sessions/links');
  const answer = await client.request('POST', '/sessions', {
    body: JSON.stringify({ code }),
    headers: { 'content-type': 'application/json' },
  });
  assert.match(String(answer.headers.get('set-cookie')), /; Secure/);
});

test('one with another certificate does not learn the token', async () => {
  const { cert, key } = selfSignedCertificate();
  let heard = 0;
  const impostor = createServer({ cert, key }, () => heard++);
  impostor.listen(0, '127.0.0.1');
  await once(impostor, 'listening');
  configure(String((impostor.address() as AddressInfo).port));
  try {
    await assert.rejects(new Client(dataFolder).get('/wallet'), /another certificate/);
    assert.equal(heard, 0);
  } finally {
    configure(new URL(running.url).port);
    impostor.close();
  }
});
