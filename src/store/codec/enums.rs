//! Enums that several stored shapes contain.

use super::scalar::stored_enum;
use crate::domain::customer::HoldReason;
use crate::domain::offer::OfferKind;
use crate::domain::relationship::Band;
use crate::domain::withheld_reason::WithheldReason;

stored_enum! {
    /// Stored [`Band`].
    StoredBand of Band { Strained, Guarded, Steady, Strong, NewCustomer }
}

stored_enum! {
    /// Stored [`HoldReason`].
    StoredHoldReason of HoldReason {
        OptOut, OpenComplaint, AgentHold, CancellationNotice, Collections, Bereavement, Vulnerability,
        ProfilingObjection, Merge,
    }
}

stored_enum! {
    /// Stored [`OfferKind`].
    StoredOfferKind of OfferKind { CrossSell, UpSell }
}

stored_enum! {
    /// Stored [`WithheldReason`].
    StoredWithheldReason of WithheldReason {
        Owned, RequirementMissing, ExcludedByHolding, Unavailable, OutsideDates, OtherCurrency, SameLadder, NotBetter,
        InContext, ExcludedByCaller, NotInCatalog, OfferedRecently, Declined, NotWorthAttention, TooSimilar,
        CapReached, UpSellCapReached, OnHold, BackOff, QuietPeriod, OptedOut, SlateFull, NotProposed,
        NeverTogether, NeverAfter, OnlyAfter, FamilyCapReached, ChannelCapReached, ControlGroup,
        OfferOutsideDates, OfferElsewhere, OfferConditionUnmet, VolumeCapReached, UsageLow,
        VariantOwned, ConsentMissing, GivenUp,
    }
}
