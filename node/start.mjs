// `npm start` on a fresh clone: installs what is missing, builds what is stale, runs a development network.
// Plain JavaScript on Node's own modules: it runs before anything is installed.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`Blocktree needs Node.js 20.19 or newer, this is ${process.versions.node}`);
  process.exit(1);
}

function run(what, command, args) {
  console.log(`· ${what}`);
  const { status } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, npm_config_loglevel: 'error' },
  });
  if (status !== 0) {
    console.error(`${what}: failed. What stands above says why; "${command} ${args.join(' ')}" repeats it.`);
    process.exit(1);
  }
}

/** The newest change below a folder, in ms. */
function newest(folder) {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce(
      (latest, entry) => Math.max(latest, statSync(join(entry.parentPath ?? entry.path, entry.name)).mtimeMs),
      0,
    );
}

const stamp = (path) => (existsSync(join(root, path)) ? statSync(join(root, path)).mtimeMs : 0);

if (stamp('node_modules/.package-lock.json') < stamp('package.json')) {
  run('installing packages (once, about a minute)', 'npm', [
    'install',
    '--no-save',
    '--no-fund',
    '--no-audit',
  ]);
}
const built = Math.min(stamp('dist/node/cli/main.js'), stamp('dist/dashboard/index.html'));
if (built < Math.max(...['ledger', 'market', 'node', 'dashboard'].map(newest)))
  run('building', 'npm', ['run', '--silent', 'build']);

const child = spawn(process.execPath, ['dist/node/cli/main.js', 'devnet', ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
});
// Ctrl-C reaches the network by itself; this process stays until it has stopped.
for (const signal of ['SIGINT', 'SIGTERM'])
  process.on(signal, () => signal === 'SIGTERM' && child.kill(signal));
child.on('exit', (code) => process.exit(code ?? 1));
