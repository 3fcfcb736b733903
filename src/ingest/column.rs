//! The canonical columns: the names under which this system knows what a file can say.

/// What the rows of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// One product a row.
    Products,
    /// One customer a row; every column without a canonical name is an attribute.
    Customers,
    /// One event a row.
    Events,
}

macro_rules! columns {
    ($($variant:ident = $name:literal,)+) => {
        /// A canonical column.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Column {
            $($variant,)+
        }

        impl Column {
            /// Every column, in the order of the variants.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name in headers and mappings.
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
    OrderId = "order_id",
    Quantity = "quantity",
    UnitPrice = "unit_price",
    Allowance = "allowance",
    CaseId = "case_id",
    Severity = "severity",
    Score = "score",
    ScoreMax = "score_max",
}

impl Subject {
    /// The columns that rows of this subject may have.
    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::Products => &[
                Column::ProductId,
                Column::Title,
                Column::Category,
                Column::Price,
                Column::Currency,
                Column::Margin,
                Column::Ladder,
                Column::Tier,
                Column::Features,
                Column::Requires,
                Column::Excludes,
                Column::CompatibleWith,
                Column::Repeatable,
                Column::Available,
                Column::AvailableFrom,
                Column::AvailableUntil,
                Column::Attributes,
            ],
            Self::Customers => &[Column::CustomerId],
            Self::Events => &[
                Column::EventId,
                Column::CustomerId,
                Column::Kind,
                Column::Time,
                Column::ProductId,
                Column::ToProductId,
                Column::OrderId,
                Column::Quantity,
                Column::UnitPrice,
                Column::Currency,
                Column::Allowance,
                Column::CaseId,
                Column::Severity,
                Column::Score,
                Column::ScoreMax,
            ],
        }
    }

    /// The columns without which no row can be accepted.
    pub fn required(self) -> &'static [Column] {
        match self {
            Self::Products => &[Column::ProductId, Column::Title],
            Self::Customers => &[Column::CustomerId],
            Self::Events => &[Column::Kind, Column::Time],
        }
    }

    /// The word for the rows in messages.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Products => "products",
            Self::Customers => "customers",
            Self::Events => "events",
        }
    }

    /// The canonical column of this name.
    pub fn column(self, name: &str) -> Option<Column> {
        self.columns().iter().copied().find(|column| column.as_str() == name)
    }

    /// The names of all columns, for messages.
    pub fn column_names(self) -> String {
        let names: Vec<&str> = self.columns().iter().map(|column| column.as_str()).collect();
        names.join(", ")
    }
}
