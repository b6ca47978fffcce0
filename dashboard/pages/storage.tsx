import { useRef, useState } from 'preact/hooks';
import {
  type Audit,
  type Contract,
  call,
  type Offer,
  type OfferOutlook,
  type Page,
  useApi,
  type Volume,
} from '../api.ts';
import { acorns, bytes, clock, parseAcorns, plainAcorns, when } from '../format.ts';
import { Paged } from '../paged.tsx';
import { Act, Amount, Badge, Bar, Card, Empty, Id, Show, Table } from '../ui.tsx';

const GIB = 2 ** 30;

/** What the owner decides of an offer; the room that is left moves by itself and must not reset the form. */
function offerTerms(offer: Offer | null): string {
  return offer === null
    ? 'none'
    : [
        offer.priceGrainsPerGiBPeriod,
        offer.egressGrainsPerGiB,
        offer.collateralPercent,
        offer.periodsMin,
        offer.periodsMax,
      ].join(' ');
}

/** What an offer would bring, in words. */
function prospect(outlook: OfferOutlook): string {
  const { monthWhenFullGrains, otherOffers, cheaperOffers, sameOffers, scoreAgainstNow } = outlook;
  const among =
    otherOffers === 0
      ? 'Nobody else offers yet.'
      : `Of ${otherOffers} other offers ${cheaperOffers === 0 ? 'none is' : cheaperOffers === 1 ? 'one is' : `${cheaperOffers} are`} cheaper, ${sameOffers === 0 ? 'none asks' : sameOffers === 1 ? 'one asks' : `${sameOffers} ask`} the same.`;
  const percent = Math.round(100 * ((scoreAgainstNow ?? 1) - 1));
  const score =
    percent === 0
      ? ''
      : ` The collateral would ${percent > 0 ? 'raise' : 'lower'} the score by ${Math.abs(percent)} %.`;
  return `When full, this would earn ${acorns(monthWhenFullGrains)} acorns a month. ${among}${score}`;
}

function OfferEditor({ offer, reload }: { offer: Offer | null; reload: () => void }) {
  const [price, setPrice] = useState(plainAcorns(offer?.priceGrainsPerGiBPeriod ?? '100000000'));
  const [egress, setEgress] = useState(plainAcorns(offer?.egressGrainsPerGiB ?? '10000000'));
  const [collateral, setCollateral] = useState(String(offer?.collateralPercent ?? 50));
  const [longest, setLongest] = useState(String(offer?.periodsMax ?? 10_000));
  const priceGrains = parseAcorns(price);
  const egressGrains = parseAcorns(egress);
  const valid =
    priceGrains !== undefined &&
    egressGrains !== undefined &&
    /^\d{1,4}$/.test(collateral) &&
    Number(collateral) <= 1_000 &&
    /^[1-9]\d{0,6}$/.test(longest);
  const outlook = useApi<OfferOutlook>(
    valid
      ? `/host/offer/outlook?priceGrainsPerGiBPeriod=${priceGrains}&collateralPercent=${collateral}`
      : undefined,
    [],
  );
  // The last answer stays until the next one is here, so that nothing jumps while somebody types.
  const told = useRef('…');
  if (outlook.data !== undefined) told.current = prospect(outlook.data);
  const send = (next: object | null) => call('PUT', '/host/offer', { offer: next }).then(reload);
  return (
    <form class="form" onSubmit={(event) => event.preventDefault()}>
      <label>
        Price a GiB and period, in acorns
        <input
          inputMode="decimal"
          value={price}
          aria-invalid={priceGrains === undefined}
          onInput={(event) => setPrice(event.currentTarget.value)}
        />
      </label>
      <label>
        Egress a GiB, in acorns
        <input
          inputMode="decimal"
          value={egress}
          aria-invalid={egressGrains === undefined}
          onInput={(event) => setEgress(event.currentTarget.value)}
        />
      </label>
      <label>
        Collateral, % of the storage price
        <input
          inputMode="numeric"
          value={collateral}
          onInput={(event) => setCollateral(event.currentTarget.value)}
        />
      </label>
      <label>
        Longest contract, in periods
        <input
          inputMode="numeric"
          value={longest}
          onInput={(event) => setLongest(event.currentTarget.value)}
        />
      </label>
      <p class="note" aria-live="polite">
        {valid ? told.current : 'Expected amounts such as 0.25.'}
      </p>
      <div class="row">
        <Act
          label={offer === null ? 'Offer storage' : 'Announce'}
          disabled={!valid}
          run={() =>
            send({
              priceGrainsPerGiBPeriod: String(priceGrains),
              egressGrainsPerGiB: String(egressGrains),
              collateralPercent: Number(collateral),
              periodsMin: offer?.periodsMin ?? 1,
              periodsMax: Number(longest),
            })
          }
        />
        {offer !== null && (
          <Act danger label="Take no new contracts" confirm="Withdraw the offer" run={() => send(null)} />
        )}
      </div>
    </form>
  );
}

function VolumeRow({ volume, reload }: { volume: Volume; reload: () => void }) {
  const [size, setSize] = useState(String(+(volume.limitBytes / GIB).toFixed(3)));
  const path = `/host/volumes/${volume.id}`;
  const change = (body: object) => call('PATCH', path, body).then(reload);
  return (
    <li class="volume">
      <strong class="path">{volume.folder}</strong>
      <Bar
        part={volume.limitBytes === 0 ? 0 : volume.usedBytes / volume.limitBytes}
        label={`Used of ${volume.folder}`}
        tone={volume.usedBytes > volume.limitBytes * 0.95 ? 'warn' : 'good'}
      />
      <span class="note">
        {bytes(volume.usedBytes)} of {bytes(volume.limitBytes)}, {volume.fragments} fragments
        {volume.draining && ' · draining: fragments move to the other volumes'}
      </span>
      <details>
        <summary aria-label={`Change ${volume.folder}`}>Change</summary>
        <form class="form" onSubmit={(event) => event.preventDefault()}>
          <label>
            Size in GiB
            <input
              inputMode="decimal"
              value={size}
              aria-invalid={!(Number(size) > 0)}
              onInput={(event) => setSize(event.currentTarget.value)}
            />
          </label>
          <div class="row">
            <Act
              label="Resize"
              disabled={!(Number(size) > 0)}
              run={() => change({ limitBytes: Math.floor(Number(size) * GIB) })}
            />
            {!volume.draining && (
              <Act danger label="Drain" confirm="Move all away" run={() => change({ draining: true })} />
            )}
            {volume.fragments === 0 && (
              <Act
                danger
                label="Remove"
                confirm="Remove for good"
                run={() => call('DELETE', path).then(reload)}
              />
            )}
          </div>
          <p class="note">Draining moves what is kept here to the other volumes; an empty one can go.</p>
        </form>
      </details>
    </li>
  );
}

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

export function Storage() {
  const volumes = useApi<Page<Volume>>('/host/volumes', ['payment']);
  const offer = useApi<{ offer: Offer | null }>('/host/offer', []);
  const audits = useApi<Page<Audit>>('/host/audits', ['audit']);
  const [folder, setFolder] = useState('');
  const [size, setSize] = useState('100');
  return (
    <div class="grid">
      <Card title="Volumes">
        <Show from={volumes}>
          {({ items }) => (
            <ul class="plain">
              {items.map((volume) => (
                <VolumeRow key={volume.id} volume={volume} reload={volumes.reload} />
              ))}
            </ul>
          )}
        </Show>
        <details>
          <summary>Add a volume</summary>
          <form class="form" onSubmit={(event) => event.preventDefault()}>
            <label>
              Folder on this machine
              <input
                value={folder}
                placeholder="/mnt/disk2/blocktree"
                onInput={(event) => setFolder(event.currentTarget.value)}
              />
            </label>
            <label>
              Size in GiB
              <input
                inputMode="decimal"
                value={size}
                onInput={(event) => setSize(event.currentTarget.value)}
              />
            </label>
            <Act
              label="Add"
              disabled={!folder.startsWith('/') || !(Number(size) > 0)}
              run={() =>
                call('POST', '/host/volumes', { folder, limitBytes: Math.floor(Number(size) * GIB) }).then(
                  volumes.reload,
                )
              }
            />
          </form>
        </details>
      </Card>
      <Card title="Offer">
        <Show from={offer}>
          {(data) => <OfferEditor key={offerTerms(data.offer)} offer={data.offer} reload={offer.reload} />}
        </Show>
      </Card>
      <Card title="Contracts that this node keeps" wide>
        <Paged<Contract> path="/host/contracts?limit=15" name="contracts">
          {(items) => <Contracts items={items} side="host" />}
        </Paged>
      </Card>
      <Card title="Audits of my hosts" wide>
        <Show from={audits}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty title="No audits yet">
                Every period each host that keeps your fragments is asked for random pieces of them.
              </Empty>
            ) : (
              <>
                <div
                  class="ticks"
                  role="img"
                  aria-label={`${items.filter(({ ok }) => ok).length} of ${items.length} audits were good`}
                >
                  {items
                    .slice(0, 200)
                    .reverse()
                    .map((audit) => (
                      <i
                        key={`${audit.contractId}${audit.at}`}
                        class={audit.ok ? 'ok' : 'failed'}
                        title={`${clock(audit.at)} period ${audit.period}: ${audit.ok ? `${audit.latencyMs} ms` : audit.reason}`}
                      />
                    ))}
                </div>
                <Table label="Newest audits" lines head={['Time', 'Host', 'Period', 'Result']}>
                  {items.slice(0, 12).map((audit) => (
                    <tr key={`${audit.contractId}${audit.at}`}>
                      <td>{when(audit.at)}</td>
                      <td class="main">
                        <Id id={audit.hostNodeId} />
                      </td>
                      <td class="end">
                        <span class="phone-only">period </span>
                        {audit.period}
                      </td>
                      <td class="side">
                        {audit.ok ? (
                          <Badge tone="good">kept, {audit.latencyMs} ms</Badge>
                        ) : (
                          <Badge tone="bad">{audit.reason ?? 'failed'}</Badge>
                        )}
                      </td>
                    </tr>
                  ))}
                </Table>
              </>
            )
          }
        </Show>
      </Card>
    </div>
  );
}
