import type { Contract } from '../api.ts';
import { Paged } from '../paged.tsx';
import { Card } from '../ui.tsx';
import { AuditsCard } from './audits.tsx';
import { Contracts } from './contracts.tsx';
import { OfferCard } from './offer-editor.tsx';
import { VolumesCard } from './volumes.tsx';

export function Storage() {
  return (
    <div class="grid">
      <VolumesCard />
      <OfferCard />
      <Card title="Contracts that this node keeps" wide>
        <Paged<Contract> path="/host/contracts?limit=15" name="contracts">
          {(items) => <Contracts items={items} side="host" />}
        </Paged>
      </Card>
      <AuditsCard />
    </div>
  );
}
