//! Layout of one file: a mapping resolved against the header, with all mismatches.

use super::canonical_column::{CanonicalColumn, EntityKind};
use super::column_template::ColumnTemplate;
use super::consent_column::is_consent_name;
use super::mapping::{IGNORE_ALL, Mapping};
use super::raw_row::RawRow;

/// Sources of all values that are read from a row.
pub(super) struct ColumnLayout {
    sources: Vec<ColumnSource>,
    /// Templates of the values that are composed of several columns, by the index in [`ColumnSource::Templated`].
    templates: Vec<ColumnTemplate>,
    /// Columns of the file.
    columns: Vec<String>,
    /// Position of each filter's column, in the order of the mapping's filters.
    pub filters: Vec<Option<usize>>,
    /// Position of the column that `[kind]` reads.
    pub kind: Option<usize>,
    /// Customers: name and position of each attribute.
    pub attributes: Vec<(String, usize)>,
    /// Positions of the columns that are neither read nor ignored by the mapping.
    pub unknown: Vec<usize>,
    /// Customers: positions of the columns that look like consents and that the mapping does not name.
    pub unmapped_consents: Vec<usize>,
}

/// Source of the values of a canonical column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ColumnSource {
    /// The file has no such column.
    Absent,
    /// Column of the file at this position.
    Column(usize),
    /// Several columns, composed by the template of this index.
    Templated(usize),
    /// The same value in every row.
    Constant(String),
}

impl ColumnLayout {
    /// Resolves a mapping against the columns of a file.
    pub fn new(entity: EntityKind, mapping: &Mapping, columns: &[String]) -> Self {
        let position = |name: &str| columns.iter().position(|column| column == name);
        let mut sources = vec![ColumnSource::Absent; CanonicalColumn::ALL.len()];
        let mut templates = Vec::new();
        for &column in entity.columns() {
            sources[column as usize] = source_of(column, mapping, position);
            if let Some(template) = mapping.template(column.as_str()) {
                sources[column as usize] = ColumnSource::Templated(templates.len());
                templates.push(template);
            }
        }
        let mut layout = Self {
            sources,
            templates,
            columns: columns.to_vec(),
            filters: mapping.filters.iter().map(|filter| position(&filter.column)).collect(),
            kind: mapping.kind.as_ref().and_then(|rule| position(rule.column())),
            attributes: Vec::new(),
            unknown: Vec::new(),
            unmapped_consents: Vec::new(),
        };
        for (index, name) in columns.iter().enumerate() {
            // Of two columns with the same name, the second is never read.
            let is_first = position(name) == Some(index);
            let attributes = if is_first { attribute_names(entity, mapping, name) } else { Vec::new() };
            let is_read = layout.reads(index) || !attributes.is_empty();
            let is_ignored = mapping.ignored.contains(name) || mapping.ignored.contains(IGNORE_ALL);
            if is_first && entity == EntityKind::Customers && is_unmapped_consent(mapping, name) && !layout.reads(index)
            {
                layout.unmapped_consents.push(index);
            }
            layout.attributes.extend(attributes.into_iter().map(|attribute| (attribute, index)));
            if !is_read && !is_ignored {
                layout.unknown.push(index);
            }
        }
        layout
    }

    /// Returns the source of a canonical column.
    pub fn source_of(&self, column: CanonicalColumn) -> &ColumnSource {
        &self.sources[column as usize]
    }

    /// Fills the templates with the values of a row.
    pub fn fill_templates(&self, row: &RawRow, templated: &mut Vec<String>) {
        templated.resize(self.templates.len(), String::new());
        for (template, filled) in self.templates.iter().zip(templated) {
            template.fill(row, |name| self.columns.iter().position(|column| column == name), filled);
        }
    }

    fn reads(&self, index: usize) -> bool {
        let is_part = |template: &ColumnTemplate| template.columns().any(|name| name == self.columns[index]);
        self.sources.contains(&ColumnSource::Column(index))
            || self.kind == Some(index)
            || self.filters.contains(&Some(index))
            || self.templates.iter().any(is_part)
    }
}

fn source_of(
    column: CanonicalColumn,
    mapping: &Mapping,
    position: impl Fn(&str) -> Option<usize> + Copy,
) -> ColumnSource {
    let name = column.as_str();
    if let Some(constant) = mapping.constants.get(name) {
        return ColumnSource::Constant(constant.clone());
    }
    if column == CanonicalColumn::Kind && mapping.kind.is_some() {
        return ColumnSource::Absent;
    }
    let from = mapping.columns.get(name);
    if from.is_none() && mapping.ignored.contains(name) {
        return ColumnSource::Absent;
    }
    let alias = column.alias().filter(|alias| from.is_none() && !mapping.ignored.contains(*alias));
    let found = position(from.map_or(name, String::as_str)).or_else(|| alias.and_then(position));
    found.map_or(ColumnSource::Absent, ColumnSource::Column)
}

/// Whether a column of a customers file looks like a consent and the mapping neither reads nor ignores it by its name. `*` does not
/// suffice: it may not have been meant for this one.
fn is_unmapped_consent(mapping: &Mapping, column: &str) -> bool {
    let is_mapped = mapping.columns.values().any(|from| from == column);
    is_consent_name(column) && !is_mapped && !mapping.ignored.contains(column)
}

/// Returns the customer attributes that a column holds: those that the mapping assigns to it, else one of the same name.
fn attribute_names(entity: EntityKind, mapping: &Mapping, column: &str) -> Vec<String> {
    if entity != EntityKind::Customers {
        return Vec::new();
    }
    let renamed: Vec<&String> = mapping.columns.iter().filter(|(_, from)| *from == column).map(|(to, _)| to).collect();
    if !renamed.is_empty() {
        return renamed.into_iter().filter(|name| entity.column(name).is_none()).cloned().collect();
    }
    let is_ignored = mapping.ignored.contains(column) || mapping.ignored.contains(IGNORE_ALL);
    let is_taken = mapping.columns.contains_key(column) || mapping.constants.contains_key(column);
    if is_ignored || is_taken || column.is_empty() || entity.column(column).is_some() {
        return Vec::new();
    }
    vec![column.to_owned()]
}

/// Finds the parts of a mapping that do not apply to a kind of entity, whatever the file.
pub(super) fn entity_faults(entity: EntityKind, mapping: &Mapping) -> Vec<String> {
    let mut faults = Vec::new();
    let noun = entity.noun();
    if entity != EntityKind::Customers {
        let names = mapping.columns.keys().map(|name| ("columns", name));
        for (table, name) in names.chain(mapping.constants.keys().map(|name| ("constants", name))) {
            if entity.column(name).is_none() {
                faults.push(format!(
                    "[{table}] {name}: {noun} have no such column; they have: {}",
                    entity.column_names()
                ));
            }
        }
    }
    if mapping.kind.is_some() && entity != EntityKind::Events {
        faults.push(format!("[kind] is for events, not for {noun}"));
    }
    if mapping.time.until.is_some() && entity != EntityKind::Events {
        faults.push(format!("[time] until is for events, not for {noun}"));
    } else if mapping.has_time && entity == EntityKind::Customers {
        faults.push("[time] does not apply to customers".to_owned());
    }
    faults
}

/// Finds all mismatches between a mapping and the header of a CSV file.
pub(super) fn header_faults(
    entity: EntityKind,
    mapping: &Mapping,
    columns: &[String],
    layout: &ColumnLayout,
) -> Vec<String> {
    let mut faults = Vec::new();
    let mut named: Vec<(String, String)> = Vec::new();
    for (to, from) in &mapping.columns {
        let place = format!("[columns] {to}");
        match mapping.template(to) {
            Some(template) => named.extend(template.columns().map(|name| (place.clone(), name.to_owned()))),
            None => named.push((place, from.clone())),
        }
    }
    named.extend(mapping.filters.iter().map(|filter| ("[[filter]] column".to_owned(), filter.column.clone())));
    named.extend(mapping.kind.iter().map(|rule| ("[kind]".to_owned(), rule.column().to_owned())));
    for (place, from) in named {
        if !columns.contains(&from) {
            faults.push(format!("{place}: the file has no column `{from}`; it has: {}", columns.join(", ")));
        }
    }
    for &column in entity.required() {
        let is_determined = column == CanonicalColumn::Kind && mapping.kind.is_some();
        if *layout.source_of(column) == ColumnSource::Absent
            && !is_determined
            && !mapping.columns.contains_key(column.as_str())
        {
            faults.push(format!(
                "the column `{0}` is missing; name its source under [columns] {0} of a mapping",
                column.as_str()
            ));
        }
    }
    faults.extend(unmapped_consents(columns, &layout.unmapped_consents));
    faults.extend(unknown_columns(entity, mapping, columns, &layout.unknown));
    faults
}

/// Describes the columns that look like consents and that the mapping does not name.
pub(super) fn unmapped_consents(columns: &[String], unmapped: &[usize]) -> Vec<String> {
    let fault = |&index: &usize| {
        let name = &columns[index];
        format!(
            "the column `{name}` looks like a consent; name it in the mapping: under [columns] as opted_out, \
             opted_out_channels or objects_to_profiling, under [columns] as {name:?} = {name:?} if it is an attribute, or \
             under [ignore] columns"
        )
    };
    unmapped.iter().map(fault).collect()
}

/// Describes the unread columns: each that is almost read with the reason, and the rest together with a list of the known columns.
pub(super) fn unknown_columns(
    entity: EntityKind,
    mapping: &Mapping,
    columns: &[String],
    unknown: &[usize],
) -> Vec<String> {
    let cure = "name it under [ignore] columns of the mapping if it is not wanted";
    let (mut faults, mut rest) = (Vec::new(), Vec::new());
    for &index in unknown {
        let name = &columns[index];
        if name.is_empty() {
            faults
                .push(format!("column {} has no name; give it one, or ignore \"\" under [ignore] columns", index + 1));
        } else if columns[..index].contains(name) {
            faults.push(format!("the column `{name}` is repeated; rename one of them"));
        } else if mapping.constants.contains_key(name) {
            faults.push(format!("the column `{name}` is in the file and [constants] replaces it; {cure}"));
        } else if let Some(from) = mapping.columns.get(name) {
            faults.push(format!("the column `{name}` is in the file and [columns] reads it from `{from}`; {cure}"));
        } else {
            rest.push(format!("`{name}`"));
        }
    }
    if !rest.is_empty() {
        faults.push(format!(
            "unknown columns for {}: {}; known are: {}; map a column under [columns] of the mapping, or list it under \
             [ignore] columns",
            entity.noun(),
            rest.join(", "),
            entity.column_names()
        ));
    }
    faults
}
