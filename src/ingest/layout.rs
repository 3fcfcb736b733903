//! Where the columns of one file stand: a mapping resolved against the header, and what does not fit.

use super::cells::RawRow;
use super::column::{Column, Subject};
use super::mapping::{IGNORE_ALL, Mapping};
use super::template::Template;

/// For each thing that is read from a row, where it stands.
pub(super) struct Layout {
    slots: Vec<Slot>,
    /// What is made of several columns, in the order of [`Slot::Made`].
    templates: Vec<Template>,
    /// The columns of the file.
    columns: Vec<String>,
    /// The position of each filter's column, in the order of the mapping's filters.
    pub filters: Vec<Option<usize>>,
    /// The position of the column that `[kind]` reads.
    pub kind: Option<usize>,
    /// Customers: the name and position of each attribute.
    pub attributes: Vec<(String, usize)>,
    /// The positions of the columns that nothing reads and the mapping does not ignore.
    pub unknown: Vec<usize>,
}

/// Where a canonical column stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Slot {
    /// Nowhere.
    Absent,
    /// In the column at this position.
    At(usize),
    /// Made of several columns, by this template.
    Made(usize),
    /// The same in every row.
    Constant(String),
}

impl Layout {
    /// Finds every column of the mapping among those of the file.
    pub fn new(subject: Subject, mapping: &Mapping, columns: &[String]) -> Self {
        let position = |name: &str| columns.iter().position(|column| column == name);
        let mut slots = vec![Slot::Absent; Column::ALL.len()];
        let mut templates = Vec::new();
        for &column in subject.columns() {
            slots[column as usize] = slot(column, mapping, position);
            if let Some(template) = mapping.template(column.as_str()) {
                slots[column as usize] = Slot::Made(templates.len());
                templates.push(template);
            }
        }
        let mut layout = Self {
            slots,
            templates,
            columns: columns.to_vec(),
            filters: mapping.filters.iter().map(|filter| position(&filter.column)).collect(),
            kind: mapping.kind.as_ref().and_then(|rule| position(rule.column())),
            attributes: Vec::new(),
            unknown: Vec::new(),
        };
        for (index, name) in columns.iter().enumerate() {
            // Of two columns with one name, the second is never read.
            let is_first = position(name) == Some(index);
            let attributes = if is_first { attribute_names(subject, mapping, name) } else { Vec::new() };
            let is_read = layout.reads(index) || !attributes.is_empty();
            let is_ignored = mapping.ignored.contains(name) || mapping.ignored.contains(IGNORE_ALL);
            layout.attributes.extend(attributes.into_iter().map(|attribute| (attribute, index)));
            if !is_read && !is_ignored {
                layout.unknown.push(index);
            }
        }
        layout
    }

    /// Where a canonical column stands.
    pub fn slot(&self, column: Column) -> &Slot {
        &self.slots[column as usize]
    }

    /// Makes what a row says in columns that are made of several.
    pub fn make(&self, row: &RawRow, made: &mut Vec<String>) {
        made.resize(self.templates.len(), String::new());
        for (template, filled) in self.templates.iter().zip(made) {
            template.fill(row, |name| self.columns.iter().position(|column| column == name), filled);
        }
    }

    fn reads(&self, index: usize) -> bool {
        let is_part = |template: &Template| template.columns().any(|name| name == self.columns[index]);
        self.slots.contains(&Slot::At(index))
            || self.kind == Some(index)
            || self.filters.contains(&Some(index))
            || self.templates.iter().any(is_part)
    }
}

fn slot(column: Column, mapping: &Mapping, position: impl Fn(&str) -> Option<usize>) -> Slot {
    let name = column.as_str();
    if let Some(constant) = mapping.constants.get(name) {
        return Slot::Constant(constant.clone());
    }
    if column == Column::Kind && mapping.kind.is_some() {
        return Slot::Absent;
    }
    let from = mapping.columns.get(name);
    if from.is_none() && mapping.ignored.contains(name) {
        return Slot::Absent;
    }
    position(from.map_or(name, String::as_str)).map_or(Slot::Absent, Slot::At)
}

/// The attributes of a customer that a column holds: those that the mapping gives it, or else one of its own name.
fn attribute_names(subject: Subject, mapping: &Mapping, column: &str) -> Vec<String> {
    let id = Column::CustomerId.as_str();
    if subject != Subject::Customers {
        return Vec::new();
    }
    let renamed: Vec<&String> = mapping.columns.iter().filter(|(_, from)| *from == column).map(|(to, _)| to).collect();
    if !renamed.is_empty() {
        return renamed.into_iter().filter(|name| *name != id).cloned().collect();
    }
    let is_ignored = mapping.ignored.contains(column) || mapping.ignored.contains(IGNORE_ALL);
    let is_taken = mapping.columns.contains_key(column) || mapping.constants.contains_key(column);
    if is_ignored || is_taken || column.is_empty() || column == id {
        return Vec::new();
    }
    vec![column.to_owned()]
}

/// What of a mapping makes no sense for a subject, whatever the file.
pub(super) fn subject_faults(subject: Subject, mapping: &Mapping) -> Vec<String> {
    let mut faults = Vec::new();
    let noun = subject.noun();
    if subject != Subject::Customers {
        let names = mapping.columns.keys().map(|name| ("columns", name));
        for (table, name) in names.chain(mapping.constants.keys().map(|name| ("constants", name))) {
            if subject.column(name).is_none() {
                faults.push(format!(
                    "[{table}] {name}: {noun} have no such column; they have: {}",
                    subject.column_names()
                ));
            }
        }
    }
    if mapping.kind.is_some() && subject != Subject::Events {
        faults.push(format!("[kind] is for events, not for {noun}"));
    }
    if mapping.time.until.is_some() && subject != Subject::Events {
        faults.push(format!("[time] until is for events, not for {noun}"));
    } else if mapping.has_time && subject == Subject::Customers {
        faults.push("[time] has no use for customers".to_owned());
    }
    faults
}

/// What does not fit between a mapping and the header of a CSV file.
pub(super) fn header_faults(subject: Subject, mapping: &Mapping, columns: &[String], layout: &Layout) -> Vec<String> {
    let mut faults = Vec::new();
    let mut asked: Vec<(String, String)> = Vec::new();
    for (to, from) in &mapping.columns {
        let place = format!("[columns] {to}");
        match mapping.template(to) {
            Some(template) => asked.extend(template.columns().map(|name| (place.clone(), name.to_owned()))),
            None => asked.push((place, from.clone())),
        }
    }
    asked.extend(mapping.filters.iter().map(|filter| ("[[filter]] column".to_owned(), filter.column.clone())));
    asked.extend(mapping.kind.iter().map(|rule| ("[kind]".to_owned(), rule.column().to_owned())));
    for (place, from) in asked {
        if !columns.contains(&from) {
            faults.push(format!("{place}: the file has no column `{from}`; it has: {}", columns.join(", ")));
        }
    }
    for &column in subject.required() {
        let is_told = column == Column::Kind && mapping.kind.is_some();
        if *layout.slot(column) == Slot::Absent && !is_told && !mapping.columns.contains_key(column.as_str()) {
            faults.push(format!(
                "the column `{0}` is missing; name its source under [columns] {0} of a mapping",
                column.as_str()
            ));
        }
    }
    faults.extend(unknown_columns(subject, mapping, columns, &layout.unknown));
    faults
}

/// What to say of columns that nothing reads: of each that comes close to being read, why it is not, and of the rest
/// together which columns there are.
pub(super) fn unknown_columns(
    subject: Subject,
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
            faults.push(format!("the column `{name}` is there twice; rename one of them"));
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
            "not known for {}: {}; known are: {}; say under [columns] of the mapping what a column is, or leave it out \
             under [ignore] columns",
            subject.noun(),
            rest.join(", "),
            subject.column_names()
        ));
    }
    faults
}
