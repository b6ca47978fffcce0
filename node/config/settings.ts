import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse as parseToml, TomlError } from 'smol-toml';
import { NodeError } from '../errors.ts';

/**
 * The node's settings: `blocktree.toml` in the data folder, each key also as an environment variable and a flag
 * (`link.port` = `BLOCKTREE_LINK_PORT` = `--link-port`). Flags beat variables beat the file beats the default.
 */

type Kind = 'text' | 'port' | 'list' | 'flag' | 'count' | 'level' | 'admission';

interface Setting<Value> {
  readonly kind: Kind;
  readonly fallback: Value;
  readonly help: string;
}

const setting = <Value>(kind: Kind, fallback: Value, help: string): Setting<Value> => ({
  kind,
  fallback,
  help,
});

export const SETTINGS = {
  'network.file': setting('text', 'network.json', 'the network file (genesis); relative to the data folder'),
  'link.host': setting('text', '0.0.0.0', 'address on which other nodes reach this one'),
  'link.port': setting('port', 7000, 'port on which other nodes reach this one; 0 picks a free one'),
  'link.advertise': setting(
    'list',
    [] as readonly string[],
    'addresses (host:port) under which others reach this node',
  ),
  'link.seeds': setting(
    'list',
    [] as readonly string[],
    'addresses (host:port) of nodes to connect to first',
  ),
  'link.admission': setting(
    'admission',
    'claimed',
    'whom links serve: "claimed" (a claimed TPM), "quote" (which also proves to be there)',
  ),
  'console.host': setting('text', '127.0.0.1', 'address of the dashboard and the REST API'),
  'console.port': setting('port', 7070, 'port of the dashboard and the REST API; 0 picks a free one'),
  'console.certificate': setting(
    'text',
    '',
    "PEM file of the console's certificate; with console.key it speaks TLS, and off loopback it must",
  ),
  'console.key': setting('text', '', 'PEM file of the key of console.certificate'),
  'tpm.device': setting(
    'text',
    '/dev/tpmrm0',
    'where the TPM is: /dev/tpmrm0, unix:PATH, tcp:127.0.0.1:PORT, software:FILE (dev networks only), or none',
  ),
  'tpm.issuer': setting('text', '', 'address of a node that endorses the chips of this network'),
  'issuer.folder': setting(
    'text',
    '',
    'makes this node an issuer: folder with issuer-key, and pinned certificates in issuer/roots/',
  ),
  'issuer.denomination': setting('text', '', 'acorns that a chip endorsed by this node brings its owner'),
  'host.automatic': setting(
    'flag',
    false,
    'claim the TPM and offer storage by itself, as development networks do',
  ),
  'seat.automatic': setting(
    'flag',
    true,
    'take a seat among those whom the committee is drawn from, once the TPM is claimed; locks a bond',
  ),
  'host.volume-bytes': setting('count', 20 * 2 ** 30, 'size of the first volume in bytes'),
  'ledger.snapshot-behind': setting(
    'count',
    10_000,
    'blocks that a node must be behind to fetch a snapshot of the state instead of executing them; 0: never',
  ),
  'ledger.keep-bodies': setting(
    'count',
    0,
    'newest blocks whose bodies are kept, at least 1000; of older ones the header is; 0: all are kept',
  ),
  'log.level': setting('level', 'info', 'debug, info, warn or error'),
  'log.file': setting('text', '', 'file for the log; standard error when empty'),
} as const satisfies Record<string, Setting<unknown>>;

export type SettingName = keyof typeof SETTINGS;
type ValueOf<S> = S extends Setting<infer Value> ? Widen<Value> : never;
type Widen<Value> = Value extends string
  ? string
  : Value extends boolean
    ? boolean
    : Value extends number
      ? number
      : Value;
export type Settings = { readonly [Name in SettingName]: ValueOf<(typeof SETTINGS)[Name]> };

/** `link.port` as `BLOCKTREE_LINK_PORT`. */
export function environmentName(name: SettingName): string {
  return `BLOCKTREE_${name.replaceAll(/[.-]/g, '_').toUpperCase()}`;
}

/** `link.port` as `--link-port`. */
export function flagName(name: SettingName): string {
  return `--${name.replaceAll('.', '-')}`;
}

const EXPECTED: Record<Kind, string> = {
  text: 'text in quotes',
  port: 'a port from 0 to 65535',
  list: 'a list of texts in quotes',
  flag: 'true or false',
  count: 'a whole number',
  level: 'debug, info, warn or error',
  admission: '"claimed" or "quote"',
};

const CHOICES = {
  level: new Set<unknown>(['debug', 'info', 'warn', 'error']),
  admission: new Set<unknown>(['claimed', 'quote']),
} as const;

function fits(kind: Kind, value: unknown): boolean {
  switch (kind) {
    case 'text':
      return typeof value === 'string';
    case 'port':
      return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 65_535;
    case 'list':
      return Array.isArray(value) && value.every((entry) => typeof entry === 'string');
    case 'flag':
      return typeof value === 'boolean';
    case 'count':
      return Number.isSafeInteger(value) && (value as number) >= 0;
    case 'level':
    case 'admission':
      return CHOICES[kind].has(value);
    default:
      return kind satisfies never;
  }
}

/** A flag or variable, both of them text, as the setting's kind. */
function fromText(kind: Kind, text: string): unknown {
  switch (kind) {
    case 'text':
    case 'level':
    case 'admission':
      return text;
    case 'port':
    case 'count':
      return /^\d+$/.test(text) ? Number(text) : text;
    case 'list':
      return text === '' ? [] : text.split(',').map((entry) => entry.trim());
    case 'flag':
      return text === 'true' || text === '1' ? true : text === 'false' || text === '0' ? false : text;
    default:
      return kind satisfies never;
  }
}

/** The value that a text stands for. Throws NodeError `bad-configuration` that names `where` it was given. */
export function settingFromText(name: SettingName, text: string, where: string): unknown {
  const { kind } = SETTINGS[name];
  const value = fromText(kind, text);
  if (!fits(kind, value))
    throw new NodeError('bad-configuration', `${where}: expected ${EXPECTED[kind]}, got "${text}"`);
  return value;
}

export function isSetting(name: string): name is SettingName {
  return Object.hasOwn(SETTINGS, name);
}

/** The line of `[section]` … `key =` in a file, for error messages. */
function lineOf(source: string, name: string): number {
  const [section, key] = name.split('.') as [string, string | undefined];
  let current = '';
  for (const [i, line] of source.split('\n').entries()) {
    const header = /^\s*\[\s*([^\]]+?)\s*\]/.exec(line)?.[1];
    if (header !== undefined) {
      current = header;
      if (key === undefined && header === section) return i + 1;
    }
    const found = /^\s*([\w.-]+)\s*=/.exec(line)?.[1];
    if (
      found !== undefined &&
      (current === '' ? found === name || found === section : current === section && found === key)
    )
      return i + 1;
  }
  return 1;
}

/** Reads one file's text. Throws NodeError `bad-configuration` with the line and what was expected. */
export function parseSettingsFile(source: string, path: string): Partial<Record<SettingName, unknown>> {
  let tree: Record<string, unknown>;
  try {
    tree = parseToml(source) as Record<string, unknown>;
  } catch (error) {
    if (error instanceof TomlError)
      throw new NodeError('bad-configuration', `${path}:${error.line}: ${error.message.split('\n')[0]}`);
    throw error;
  }
  const found: Partial<Record<SettingName, unknown>> = {};
  for (const [section, entries] of Object.entries(tree)) {
    const keys =
      typeof entries === 'object' && entries !== null && !Array.isArray(entries)
        ? Object.entries(entries)
        : [[undefined, entries] as const];
    for (const [key, value] of keys) {
      const name = key === undefined ? section : `${section}.${key}`;
      if (!isSetting(name)) {
        throw new NodeError(
          'bad-configuration',
          `${path}:${lineOf(source, name)}: unknown key "${name}"; expected one of ${Object.keys(SETTINGS).join(', ')}`,
        );
      }
      const { kind } = SETTINGS[name];
      if (!fits(kind, value))
        throw new NodeError(
          'bad-configuration',
          `${path}:${lineOf(source, name)}: expected ${EXPECTED[kind]} for ${name}`,
        );
      found[name] = value;
    }
  }
  return found;
}

/** The text of a settings file with these values, which are given as flags are. */
export function formatSettingsFile(values: Partial<Record<SettingName, string>>): string {
  const sections = new Map<string, string[]>();
  for (const [name, text] of Object.entries(values) as [SettingName, string][]) {
    const [section, key] = name.split('.') as [string, string];
    const line = `${key} = ${JSON.stringify(fromText(SETTINGS[name].kind, text))}`;
    sections.set(section, [...(sections.get(section) ?? []), line]);
  }
  return [...sections].map(([section, lines]) => `[${section}]\n${lines.join('\n')}\n`).join('\n');
}

/** All settings for a data folder. `flags` by setting name, as text. Throws NodeError `bad-configuration`. */
export function loadSettings(
  dataFolder: string,
  flags: Partial<Record<SettingName, string>>,
  environment: NodeJS.ProcessEnv = process.env,
): Settings {
  const path = join(dataFolder, 'blocktree.toml');
  const file = existsSync(path) ? parseSettingsFile(readFileSync(path, 'utf8'), path) : {};
  const names = Object.keys(SETTINGS) as SettingName[];
  const known = new Set(names.map(environmentName));
  for (const variable of Object.keys(environment)) {
    if (variable.startsWith('BLOCKTREE_') && !known.has(variable)) {
      throw new NodeError(
        'bad-configuration',
        `unknown environment variable ${variable}; expected one of ${[...known].join(', ')}`,
      );
    }
  }
  const entries = names.map((name) => {
    const { fallback } = SETTINGS[name];
    const texts = [
      [flags[name], flagName(name)],
      [environment[environmentName(name)], environmentName(name)],
    ] as const;
    for (const [text, where] of texts) {
      if (text === undefined) continue;
      return [name, settingFromText(name, text, where)];
    }
    return [name, file[name] ?? fallback];
  });
  return Object.fromEntries(entries) as Settings;
}
