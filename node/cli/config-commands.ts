import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { withSetting } from '../config/edit-settings.ts';
import { isSetting, loadSettings, SETTINGS, type SettingName } from '../config/settings.ts';
import { NodeError } from '../errors.ts';
import { writePrivateFile } from '../keys/private-file.ts';
import { fields } from './output.ts';
import type { Runner } from './runner.ts';

const names = Object.keys(SETTINGS) as SettingName[];

/** config: show, set. */
export function configCommands(program: Command, run: Runner): void {
  const config = program.command('config').description('the settings');
  config
    .command('show')
    .description('the settings in force')
    .action(
      run(async ({ dataFolder }) => {
        const settings = loadSettings(dataFolder(), {});
        return [settings, fields(names.map((name) => [name, JSON.stringify(settings[name])]))];
      }),
    );
  config
    .command('set <key> <value>')
    .description('change a setting in blocktree.toml; lists with commas; holds from the next start on')
    .action(
      run(async ({ dataFolder }, key: string, value: string) => {
        if (!isSetting(key))
          throw new NodeError(
            'bad-configuration',
            `unknown key "${key}"; expected one of ${names.join(', ')}`,
          );
        const path = join(dataFolder(), 'blocktree.toml');
        const source = existsSync(path) ? await readFile(path, 'utf8') : '';
        await writePrivateFile(path, withSetting(source, path, key, value));
        const { [key]: now } = loadSettings(dataFolder(), {});
        return [{ [key]: now }, `${key} = ${JSON.stringify(now)}, from the next start on`];
      }),
    );
}
