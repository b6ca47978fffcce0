import { NodeError } from '../errors.ts';
import { parseSettingsFile, type SettingName, settingFromText } from './settings.ts';

/**
 * The text of a settings file with one setting changed. Everything else, comments too, stays as it was written.
 * Throws NodeError `bad-configuration` for a value that does not fit, or a file that has to be changed by hand.
 */
export function withSetting(source: string, path: string, name: SettingName, text: string): string {
  const before = parseSettingsFile(source, path);
  const value = settingFromText(name, text, name);
  const changed = replaceLine(source, name, tomlOf(value));
  // Whatever way the file was written in: it says what is wanted now, and of all else what it said.
  const after = parseSettingsFileOrNothing(changed, path);
  const wanted = { ...before, [name]: value };
  if (after === undefined || JSON.stringify(sorted(after)) !== JSON.stringify(sorted(wanted)))
    throw new NodeError(
      'bad-configuration',
      `${path} is written in a way that only you can change: set ${name} there`,
    );
  return changed;
}

function replaceLine(source: string, name: SettingName, value: string): string {
  const [section, key] = name.split('.') as [string, string];
  const lines = source === '' ? [] : source.replace(/\n$/, '').split('\n');
  let current = '';
  let endOfSection = -1;
  for (const [i, line] of lines.entries()) {
    const header = /^\s*\[\s*([^\]]+?)\s*\]/.exec(line)?.[1];
    if (header !== undefined) current = header;
    const found = /^\s*([\w.-]+)\s*=/.exec(line)?.[1];
    if (current === section && (found ?? header) !== undefined) endOfSection = i;
    if (found !== undefined && found === (current === '' ? name : current === section ? key : undefined)) {
      const comment = /^[^"'#]*=\s*(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^"'#])*?(\s+#.*)$/.exec(line)?.[1] ?? '';
      lines[i] = `${found} = ${value}${comment}`;
      return `${lines.join('\n')}\n`;
    }
  }
  if (endOfSection >= 0) lines.splice(endOfSection + 1, 0, `${key} = ${value}`);
  else lines.push(...(lines.length === 0 ? [] : ['']), `[${section}]`, `${key} = ${value}`);
  return `${lines.join('\n')}\n`;
}

/** Texts of TOML take the escapes of JSON. */
function tomlOf(value: unknown): string {
  return Array.isArray(value) ? `[${value.map(tomlOf).join(', ')}]` : JSON.stringify(value);
}

function parseSettingsFileOrNothing(
  source: string,
  path: string,
): ReturnType<typeof parseSettingsFile> | undefined {
  try {
    return parseSettingsFile(source, path);
  } catch (error) {
    if (error instanceof NodeError) return undefined;
    throw error;
  }
}

const sorted = (settings: object): readonly unknown[] =>
  Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1));
