import type { Contract } from '../api.ts';
import { bytes } from '../format.ts';
import { Amount, Badge, Empty, Id, Table } from '../ui.tsx';

const TONE = { active: 'good', ended: 'quiet', closed: 'quiet', failed: 'bad' } as const;

export function Contracts({ items, side }: { items: readonly Contract[]; side: 'host' | 'renter' }) {
  if (items.length === 0) return <Empty title="No contracts yet" />;
  return (
    <Table
      label="Contracts"
      head={['Contract', 'State', 'Size', side === 'host' ? 'Earned' : 'Paid', 'Periods', 'Next proof']}
    >
      {items.map((one) => (
        <tr key={one.id}>
          <td>
            <Id id={one.id} kind="contract" />
          </td>
          <td>
            <Badge tone={TONE[one.state]}>{one.state}</Badge>
          </td>
          <td>{bytes(one.sizeBytes)}</td>
          <td>
            <Amount grains={(BigInt(one.paidStorageGrains) + BigInt(one.paidEgressGrains)).toString()} />
          </td>
          <td>
            {one.paidPeriods} paid
            {one.missedPeriods > 0 && (
              <>
                {' '}
                <Badge tone="bad">{one.missedPeriods} missed</Badge>
              </>
            )}
            {BigInt(one.penaltyGrains) > 0n && (
              <>
                {' '}
                <Badge tone={side === 'host' ? 'bad' : 'quiet'}>
                  penalty <Amount grains={one.penaltyGrains} unit={false} />
                </Badge>
              </>
            )}
          </td>
          <td>
            {one.state === 'active' ? `period ${one.nextPeriod}, until ${one.provableUntilPeriod}` : '–'}
          </td>
        </tr>
      ))}
    </Table>
  );
}
