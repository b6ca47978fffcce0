import type { Command } from 'commander';
import { oneOf } from './arguments.ts';
import { table } from './output.ts';
import type { Runner } from './runner.ts';

/** api token: create, list, revoke. */
export function apiCommands(program: Command, run: Runner): void {
  const api = program
    .command('api')
    .description('the REST API')
    .command('token')
    .description('tokens for programs');
  api
    .command('create <name>')
    .description('make a token; it is shown once')
    .option('--role <role>', 'viewer, operator or owner', 'viewer')
    .action(
      run(async ({ client }, name: string, options: { role: string }) => {
        const token = await client.send<{ id: string; token: string; role: string }>('POST', '/tokens', {
          name,
          role: oneOf(options.role, '--role', ['viewer', 'operator', 'owner']),
        });
        return [
          token,
          `${token.token}\n(${token.role}; shown once; revoke with "blocktree api token revoke ${token.id}")`,
        ];
      }),
    );
  api
    .command('list')
    .description('list tokens')
    .action(
      run(async ({ client }) => {
        const { items } = await client.get<{
          items: { id: string; name: string; role: string; createdAt: string }[];
        }>('/tokens');
        return [
          items,
          table(
            ['ID', 'NAME', 'ROLE', 'CREATED'],
            items.map((one) => [one.id, one.name, one.role, one.createdAt.slice(0, 10)]),
            'no tokens',
          ),
        ];
      }),
    );
  api
    .command('revoke <id>')
    .description('make a token useless')
    .action(
      run(async ({ client }, id: string) => {
        await client.send('DELETE', `/tokens/${encodeURIComponent(id)}`);
        return [{ revoked: id }, `revoked ${id}`];
      }),
    );
}
