//! Queries with the arms that they are run in.

use std::sync::Arc;

use super::asked::{Asked, Values, Work};
use crate::pg;
use crate::plan::{AnswerCompare, ArmPlan, GpuChoice, Query, SqlPlace, Statement};
use crate::strom::{self, Arm, StromError};

/// A query and the arms that it is run in: one, or two that are compared; in a sweep, all of its
/// combinations.
#[derive(Debug, Clone)]
pub(crate) struct ArmedQuery {
    /// The query, with the table's name filled in.
    pub query: Query,
    /// Its arms.
    pub arms: Vec<Arm>,
    /// What makes the values of its parameters, if it has any.
    pub(crate) values: Option<Arc<Values>>,
    /// Each statement of a transaction as a query of its own; none: it is one statement.
    pub(crate) statements: Vec<(Query, Option<Arc<Values>>)>,
}

impl ArmedQuery {
    /// A query with its text filled in, and the arms of this choice.
    ///
    /// # Errors
    /// When the choice needs PG-Strom and it is not there, or no values can be made.
    pub(crate) fn new(
        query: &Query,
        fill: impl Fn(&str) -> String,
        choice: GpuChoice,
        arms: &[ArmPlan],
        loaded: bool,
    ) -> Result<Self, StromError> {
        let arms = strom::arms(choice, arms, loaded)?;
        // Each makes the same values: they are a function of the seed, the query's name and the number.
        let of_text = |sql: &str, place: &SqlPlace| {
            let sql = fill(sql);
            let values = query.parameters.as_ref().map(|own| Values::new(&sql, own)).transpose();
            let values = values.map_err(|error| pg::Error::no_values(&error))?.map(Arc::new);
            Ok::<_, StromError>((Query { sql, place: place.clone(), ..query.clone() }, values))
        };
        let statement = |own: &Statement| {
            let (query, values) = of_text(&own.sql, &own.place)?;
            Ok((Query { statements: Vec::new(), ..query }, values))
        };
        let statements = query.statements.iter().map(statement);
        let statements = statements.collect::<Result<Vec<_>, StromError>>()?;
        let (query, values) = of_text(&query.sql, &query.place)?;
        Ok(Self { query, arms, values, statements })
    }

    /// The query with the values of an execution.
    pub(crate) fn asked(&self, number: u64) -> Asked<'_> {
        Asked::new(&self.query, self.values.as_deref(), number)
    }

    /// The work of an execution: all of its statements have the same values.
    pub(crate) fn work(&self, number: u64) -> Work<'_> {
        if self.statements.is_empty() {
            return Work::Statement(self.asked(number));
        }
        let each = self.statements.iter();
        Work::Transaction(
            each.map(|(query, values)| Asked::new(query, values.as_deref(), number)).collect(),
        )
    }

    /// These queries, each with its text filled in and the arms of its own choice or of the common
    /// one. Every arm names all settings that any of them sets.
    ///
    /// # Errors
    /// As for [`ArmedQuery::new`].
    pub(crate) fn of_all<'q>(
        queries: impl Iterator<Item = &'q Query>,
        fill: impl Fn(&str) -> String,
        (gpu, arms, loaded): (GpuChoice, &[ArmPlan], bool),
    ) -> Result<Arc<[Self]>, StromError> {
        let armed_query =
            |query: &Query| Self::new(query, &fill, query.gpu.unwrap_or(gpu), arms, loaded);
        let mut armed_queries = queries.map(armed_query).collect::<Result<Vec<_>, StromError>>()?;
        strom::align(armed_queries.iter_mut().flat_map(|armed_query| &mut armed_query.arms));
        Ok(armed_queries.into())
    }

    /// The settings that its arms set.
    pub(crate) fn settings(&self) -> impl Iterator<Item = &str> {
        self.arms.iter().flat_map(|arm| &arm.set).map(|setting| setting.name.as_str())
    }

    /// Whether its answers are to be compared: there are two, and the profile lets it.
    pub(crate) fn is_compared(&self) -> bool {
        self.arms.len() == 2 && self.query.answers.compare != AnswerCompare::Off
    }
}
