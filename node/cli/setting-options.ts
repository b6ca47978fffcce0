import type { Command } from 'commander';
import { flagName, SETTINGS, type SettingName } from '../config/settings.ts';

/** The settings as flags of a verb. */

const names = Object.keys(SETTINGS) as SettingName[];

export function withSettings(command: Command): Command {
  for (const name of names) command.option(`${flagName(name)} <value>`, SETTINGS[name].help);
  return command;
}

/** The settings among a command's options. */
export function flagsOf(options: Record<string, unknown>): Partial<Record<SettingName, string>> {
  const camel = (name: string): string =>
    name.replaceAll(/[.-](\w)/g, (_, letter: string) => letter.toUpperCase());
  return Object.fromEntries(
    names.flatMap((name) =>
      options[camel(name)] === undefined ? [] : [[name, String(options[camel(name)])]],
    ),
  );
}
