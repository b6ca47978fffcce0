import { useRef, useState } from 'preact/hooks';
import { call, type Offer, type OfferOutlook, useApi } from '../api.ts';
import { acorns, parseAcorns, plainAcorns } from '../format.ts';
import { Act, Card, Show } from '../ui.tsx';

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

export function OfferCard() {
  const offer = useApi<{ offer: Offer | null }>('/host/offer', []);
  return (
    <Card title="Offer">
      <Show from={offer}>
        {(data) => <OfferEditor key={offerTerms(data.offer)} offer={data.offer} reload={offer.reload} />}
      </Show>
    </Card>
  );
}
