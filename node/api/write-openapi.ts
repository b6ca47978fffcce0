import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadSettings } from '../config/settings.ts';
import { createDevnet, nodeFolder } from '../devnet/create.ts';
import { startNode } from '../node.ts';
import { Access } from './access.ts';
import { buildConsole } from './server.ts';

/** Writes openapi.yaml from the routes; with `--check` only says whether it would differ. */

const target = fileURLToPath(new URL('../../openapi.yaml', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'blocktree-openapi-'));
try {
  const data = join(folder, 'devnet');
  await createDevnet(
    { folder: data, nodes: 1, tpm: 'software', periodMs: 10_000, consolePort: 0, linkPort: 0 },
    () => undefined,
  );
  const dataFolder = nodeFolder(data, 1);
  const flags = { 'link.port': '0', 'link.seeds': '', 'host.automatic': 'false' } as const;
  const node = await startNode({ dataFolder, settings: loadSettings(dataFolder, flags), version: '0' });
  const app = await buildConsole(node, await Access.open(dataFolder));
  await app.ready();
  const yaml = app.swagger({ yaml: true });
  await app.close();
  await node.close();
  if (!process.argv.includes('--check')) {
    writeFileSync(target, yaml);
    console.log(`openapi.yaml: ${Object.keys(app.swagger().paths ?? {}).length} paths`);
  } else if (readFileSync(target, 'utf8') === yaml) console.log('openapi.yaml is that of the routes');
  else {
    console.error('openapi.yaml differs from the routes: run "npm run openapi" and commit it');
    process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
