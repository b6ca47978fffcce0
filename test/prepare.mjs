// What the tests need from the machine: installs Debian's packages where root allows, else names what is missing.
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Parts of the test run, and the programs they call with the Debian package each comes from. */
const needs = {
  services: {
    'redis-server': 'redis-server',
    swtpm: 'swtpm',
    swtpm_setup: 'swtpm-tools',
    tpm2_quote: 'tpm2-tools',
  },
  e2e: { swtpm: 'swtpm', swtpm_setup: 'swtpm-tools', certtool: 'gnutls-bin' },
  browser: { chromium: 'chromium', swtpm: 'swtpm', swtpm_setup: 'swtpm-tools' },
};

const onPath = (program) =>
  (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });

/** Makes sure that every program that `parts` call is there; exits with the list of packages when it cannot. */
export function prepare(parts) {
  const wanted = Object.entries(needs).filter(([part]) => parts.includes(part));
  const missing = () => [
    ...new Set(
      wanted.flatMap(([, programs]) =>
        Object.entries(programs)
          .filter(([program]) => !onPath(program))
          .map(([, debianPackage]) => debianPackage),
      ),
    ),
  ];
  if (missing().length === 0) return;
  if (process.getuid?.() === 0) {
    console.log(`installing for the tests: ${missing().join(' ')}`);
    const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const apt = (...words) =>
      spawnSync('apt-get', words, { stdio: ['ignore', 'ignore', 'inherit'], env: environment });
    apt('update', '-qq');
    const extra = parts.includes('services') ? ['libtss2-tcti-swtpm0'] : [];
    apt('install', '-y', '-qq', '--no-install-recommends', ...missing(), ...extra);
  }
  if (missing().length > 0) {
    console.error(`the tests need these Debian packages: apt-get install ${missing().join(' ')}`);
    process.exit(1);
  }
}
