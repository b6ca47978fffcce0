import { useState } from 'preact/hooks';
import { type Earnings as EarningsData, useApi } from '../api.ts';
import { dateTime } from '../format.ts';
import { Amount, Card, Empty, Figure, Id, Show, Table } from '../ui.tsx';
import { type By, Plot, spansOf } from './earnings-plot.tsx';

const PERIODS_LISTED = 60;

function Periods({ data }: { data: EarningsData['byPeriod'] }) {
  return (
    <details>
      <summary>Figures by period</summary>
      <Table
        label="Earnings by period"
        head={['Period', 'Began', 'Storage', 'Egress', 'Fees', 'Penalties', 'Total']}
      >
        {data
          .slice(-PERIODS_LISTED)
          .reverse()
          .map((one) => (
            <tr key={one.period}>
              <td>
                <a href={`/ledger/period/${one.period}`}>{one.period}</a>
              </td>
              <td>{one.startedAt === null ? '–' : dateTime(one.startedAt)}</td>
              {[one.storageGrains, one.egressGrains, one.feeGrains, one.penaltyGrains, one.totalGrains].map(
                (grains, i) => (
                  <td key={i}>
                    <Amount grains={grains} unit={false} />
                  </td>
                ),
              )}
            </tr>
          ))}
      </Table>
      {data.length > PERIODS_LISTED && (
        <p class="note">The newest {PERIODS_LISTED}; the CSV file holds all of them.</p>
      )}
    </details>
  );
}

function csv(data: EarningsData): string {
  const names = ['totalGrains', 'storageGrains', 'egressGrains', 'feeGrains', 'penaltyGrains'] as const;
  const rows = data.byPeriod.map((one) =>
    [one.period, one.startedAt ?? '', ...names.map((name) => one[name])].join(','),
  );
  return [`period,startedAt,${names.join(',')}`, ...rows].join('\n');
}

export function Earnings() {
  const earnings = useApi<EarningsData>('/host/earnings');
  const [by, setBy] = useState<By>('period');
  return (
    <Show from={earnings}>
      {(data) => (
        <div class="grid">
          <Card
            title={by === 'day' ? 'By day' : 'By period'}
            wide
            action={
              <span class="row">
                <fieldset class="segments">
                  <legend class="hidden">What a bar stands for</legend>
                  {(['period', 'day'] as const).map((value) => (
                    <label key={value}>
                      <input type="radio" name="by" checked={by === value} onChange={() => setBy(value)} />
                      <span class="segment">{value === 'day' ? 'Days' : 'Periods'}</span>
                    </label>
                  ))}
                </fieldset>
                <a
                  class="button"
                  download="earnings.csv"
                  href={`data:text/csv;charset=utf-8,${encodeURIComponent(csv(data))}`}
                >
                  CSV
                </a>
              </span>
            }
          >
            {data.byPeriod.length === 0 ? (
              <Empty title="Nothing earned yet">
                The first payment comes in the period after somebody stores something here.
              </Empty>
            ) : (
              <>
                <Plot key={by} by={by} data={spansOf(data.byPeriod, by)} />
                <ul class="legend" aria-hidden="true">
                  <li class="storage">Storage</li>
                  <li class="egress">Egress</li>
                  <li class="fees">Fees</li>
                  <li class="penalty">Penalties</li>
                </ul>
              </>
            )}
            <dl class="figures">
              <Figure label="Storage">
                <Amount grains={data.storageGrains} />
              </Figure>
              <Figure label="Egress">
                <Amount grains={data.egressGrains} />
              </Figure>
              <Figure label="Fees">
                <Amount grains={data.feeGrains} />
              </Figure>
              <Figure label="Penalties">
                <Amount grains={data.penaltyGrains} />
              </Figure>
              <Figure label="Total">
                <Amount grains={data.totalGrains} />
              </Figure>
            </dl>
            {data.byPeriod.length > 0 && <Periods data={data.byPeriod} />}
          </Card>
          <Card title="By contract" wide>
            {data.byContract.length === 0 ? (
              <Empty title="No contract has paid yet" />
            ) : (
              <Table
                label="Earnings by contract"
                head={['Contract', 'Storage', 'Egress', 'Penalties', 'Total']}
              >
                {data.byContract.map((one) => (
                  <tr key={one.contractId}>
                    <td>
                      <Id id={one.contractId} kind="contract" />
                    </td>
                    <td>
                      <Amount grains={one.storageGrains} />
                    </td>
                    <td>
                      <Amount grains={one.egressGrains} />
                    </td>
                    <td>
                      <Amount grains={one.penaltyGrains} />
                    </td>
                    <td>
                      <Amount grains={one.totalGrains} />
                    </td>
                  </tr>
                ))}
              </Table>
            )}
          </Card>
        </div>
      )}
    </Show>
  );
}
