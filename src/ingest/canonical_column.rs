//! Canonical columns: the names of the fields that can be imported.

/// Kind of entity that the rows of a file describe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntityKind {
    /// One product per row.
    Products,
    /// One customer per row; every column without a canonical name is an attribute, unless it looks like a consent.
    Customers,
    /// One event per row.
    Events,
}

macro_rules! columns {
    ($($variant:ident = $name:literal,)+) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum CanonicalColumn {
            $($variant,)+
        }

        impl CanonicalColumn {
            /// All columns, in the order of the variants.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Name in headers and mappings.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

columns! {
    ProductId = "product_id",
    Title = "title",
    Category = "category",
    Price = "price",
    Currency = "currency",
    Margin = "margin",
    Ladder = "ladder",
    Tier = "tier",
    ItemGroup = "item_group",
    Features = "features",
    Requires = "requires",
    Excludes = "excludes",
    CompatibleWith = "compatible_with",
    Repeatable = "repeatable",
    Available = "available",
    AvailableFrom = "available_from",
    AvailableUntil = "available_until",
    Attributes = "attributes",
    CustomerId = "customer_id",
    EventId = "event_id",
    Kind = "kind",
    Time = "time",
    ToProductId = "to_product_id",
    PlanDirection = "plan_direction",
    OrderId = "order_id",
    Quantity = "quantity",
    UnitPrice = "unit_price",
    Allowance = "allowance",
    Meter = "meter",
    PeriodStart = "period_start",
    PeriodEnd = "period_end",
    CaseId = "case_id",
    Severity = "severity",
    Score = "score",
    ScoreMax = "score_max",
    OptedOut = "opted_out",
    OptedOutChannels = "opted_out_channels",
    ObjectsToProfiling = "objects_to_profiling",
    Consents = "consents",
    ReturnReason = "return_reason",
}

impl CanonicalColumn {
    /// Name that is read instead where the file has no column of the canonical name: that of merchant feeds.
    pub fn alias(self) -> Option<&'static str> {
        (self == Self::ItemGroup).then_some("item_group_id")
    }
}

impl EntityKind {
    /// Returns the columns that rows of this kind may have.
    pub fn columns(self) -> &'static [CanonicalColumn] {
        match self {
            Self::Products => &[
                CanonicalColumn::ProductId,
                CanonicalColumn::Title,
                CanonicalColumn::Category,
                CanonicalColumn::Price,
                CanonicalColumn::Currency,
                CanonicalColumn::Margin,
                CanonicalColumn::Ladder,
                CanonicalColumn::Tier,
                CanonicalColumn::ItemGroup,
                CanonicalColumn::Features,
                CanonicalColumn::Requires,
                CanonicalColumn::Excludes,
                CanonicalColumn::CompatibleWith,
                CanonicalColumn::Repeatable,
                CanonicalColumn::Available,
                CanonicalColumn::AvailableFrom,
                CanonicalColumn::AvailableUntil,
                CanonicalColumn::Attributes,
            ],
            Self::Customers => &[
                CanonicalColumn::CustomerId,
                CanonicalColumn::OptedOut,
                CanonicalColumn::OptedOutChannels,
                CanonicalColumn::ObjectsToProfiling,
                CanonicalColumn::Consents,
            ],
            Self::Events => &[
                CanonicalColumn::EventId,
                CanonicalColumn::CustomerId,
                CanonicalColumn::Kind,
                CanonicalColumn::Time,
                CanonicalColumn::ProductId,
                CanonicalColumn::ToProductId,
                CanonicalColumn::PlanDirection,
                CanonicalColumn::OrderId,
                CanonicalColumn::Quantity,
                CanonicalColumn::UnitPrice,
                CanonicalColumn::Currency,
                CanonicalColumn::Allowance,
                CanonicalColumn::Meter,
                CanonicalColumn::PeriodStart,
                CanonicalColumn::PeriodEnd,
                CanonicalColumn::CaseId,
                CanonicalColumn::Severity,
                CanonicalColumn::Score,
                CanonicalColumn::ScoreMax,
                CanonicalColumn::ReturnReason,
            ],
        }
    }

    /// Returns the required columns.
    pub fn required(self) -> &'static [CanonicalColumn] {
        match self {
            Self::Products => &[CanonicalColumn::ProductId, CanonicalColumn::Title],
            Self::Customers => &[CanonicalColumn::CustomerId],
            Self::Events => &[CanonicalColumn::Kind, CanonicalColumn::Time],
        }
    }

    /// Plural noun for messages.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Products => "products",
            Self::Customers => "customers",
            Self::Events => "events",
        }
    }

    /// Finds a column by its name.
    pub fn column(self, name: &str) -> Option<CanonicalColumn> {
        self.columns().iter().copied().find(|column| column.as_str() == name)
    }

    /// Names of all columns, for messages.
    pub fn column_names(self) -> String {
        let names: Vec<&str> = self.columns().iter().map(|column| column.as_str()).collect();
        names.join(", ")
    }
}
