// `npm test`: every part in order, or the parts that are named: `node test/run.mjs unit e2e`.
// Closes with one line of counts; exits 1 when a part failed, with the names of those that did.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { prepare } from './prepare.mjs';

const root = new URL('..', import.meta.url).pathname;

/** Test files below `folder`, in a stable order. */
function testFiles(folder) {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true })
    .map((name) => join(folder, String(name)))
    .filter((name) => name.endsWith('.test.ts') && !name.includes('node_modules'))
    .sort();
}

const parts = {
  types: { command: ['npx', 'tsc', '-p', 'tsconfig.json'] },
  'types-dashboard': { command: ['npx', 'tsc', '-p', 'dashboard/tsconfig.json'] },
  lint: { command: ['npx', 'biome', 'check', '.'] },
  boundaries: { command: ['node', 'test/boundaries.mjs'] },
  dead: { command: ['npx', 'knip', '--no-progress'] },
  build: { command: ['npm', 'run', '--silent', 'build'] },
  openapi: { command: ['node', '--import', 'tsx', 'node/api/write-openapi.ts', '--check'] },
  unit: { files: () => ['ledger', 'market', 'node', 'dashboard'].flatMap(testFiles), concurrency: 3 },
  simulation: { files: () => testFiles('test/simulation'), concurrency: 2 },
  services: { files: () => testFiles('test/services'), concurrency: 1 },
  e2e: { files: () => testFiles('test/e2e'), concurrency: 2 },
  browser: { files: () => testFiles('test/browser'), concurrency: 2 },
};

/** Runs one part; resolves to {ok, passed, failed}. Output goes straight through. */
function run(part) {
  const files = part.files?.();
  if (files && files.length === 0) return Promise.resolve({ ok: true, passed: 0, failed: 0 });
  const command = part.command ?? [
    'node',
    '--import',
    'tsx',
    '--test',
    `--test-concurrency=${part.concurrency}`,
    '--test-reporter=spec',
    ...files,
  ];
  return new Promise((resolve) => {
    const child = spawn(command[0], command.slice(1), { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
    let tail = '';
    child.stdout.on('data', (chunk) => {
      process.stdout.write(chunk);
      tail = (tail + chunk).slice(-4000);
    });
    child.on('close', (code) => {
      const count = (word) => Number(new RegExp(`^ℹ ${word} (\\d+)`, 'm').exec(tail)?.[1] ?? 0);
      resolve({ ok: code === 0, passed: count('pass'), failed: count('fail') });
    });
  });
}

const named = process.argv.slice(2);
const unknown = named.filter((name) => !(name in parts));
if (unknown.length > 0) {
  console.error(`no such part: ${unknown.join(', ')}; there are: ${Object.keys(parts).join(', ')}`);
  process.exit(2);
}
if (!existsSync(join(root, 'node_modules'))) {
  const install = spawnSync('npm', ['install', '--no-save', '--no-fund', '--no-audit'], {
    cwd: root,
    stdio: 'inherit',
  });
  if (install.status !== 0) process.exit(1);
}
const chosen = named.length > 0 ? named : Object.keys(parts);
prepare(chosen);
if (chosen.some((name) => name === 'e2e' || name === 'browser') && !chosen.includes('build'))
  chosen.unshift('build');

let passed = 0;
let failed = 0;
const broken = [];
for (const name of chosen) {
  const startedMs = Date.now();
  console.log(`\n── ${name}`);
  const result = await run(parts[name]);
  passed += result.passed;
  failed += result.failed + (result.ok || result.failed > 0 ? 0 : 1);
  if (!result.ok) broken.push(name);
  console.log(
    `── ${name}: ${result.ok ? 'ok' : 'FAILED'} (${((Date.now() - startedMs) / 1000).toFixed(1)} s)`,
  );
}
if (broken.length > 0) console.log(`\nfailed parts: ${broken.join(', ')}`);
console.log(`\ntests: ${passed} passed, ${failed} failed`);
process.exit(broken.length === 0 ? 0 : 1);
