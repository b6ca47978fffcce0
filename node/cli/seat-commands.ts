import type { Command } from 'commander';
import { acorns } from './output.ts';
import type { Runner } from './runner.ts';

interface SeatJson {
  inPool: boolean;
  member: boolean;
  voting: boolean;
  bondGrains: string;
  renewedAt: string | null;
  leftAt: string | null;
  convicted: boolean;
}

function describe(seat: SeatJson): string {
  if (seat.convicted) return 'this TPM was convicted of contradicting votes and takes part no more';
  const parts = [
    seat.member
      ? seat.voting
        ? 'a member of the committee, voting'
        : 'a member of the committee, not voting now'
      : 'not in the committee',
    seat.inPool
      ? `in the pool for the next, renewed ${seat.renewedAt}`
      : seat.leftAt === null
        ? 'not in the pool for the next'
        : `left the pool ${seat.leftAt}`,
    ...(seat.bondGrains === '0' ? [] : [`bond ${acorns(seat.bondGrains)}`]),
  ];
  return parts.join('; ');
}

/** seat: this node's place among those whom the committee is drawn from. */
export function seatCommands(program: Command, run: Runner): void {
  const seat = program.command('seat').description('the place among those whom the committee is drawn from');
  seat
    .command('show', { isDefault: true })
    .description('whether this node votes, and could next')
    .action(
      run(async ({ client }) => {
        const status = await client.get<SeatJson>('/seat');
        return [status, describe(status)];
      }),
    );
  for (const [action, description] of [
    ['enter', 'enter or renew; the first time this locks a bond'],
    ['leave', 'leave; once more after a seat lifetime, and the bond is returned'],
  ] as const) {
    seat
      .command(action)
      .description(description)
      .action(
        run(async ({ client }) => {
          const sent = await client.send<{ transactionId: string; height: number }>('POST', '/seat', {
            action,
          });
          return [sent, `final at height ${sent.height}`];
        }),
      );
  }
}
