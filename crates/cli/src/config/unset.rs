//! `milena config unset`

use milena_client::admin::{Admin, ConfigChange, ConfigOperation};

use super::{Whose, set::apply};
use crate::{failure::Result, output::Answer};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    whose: Whose,
    /// What to unset.
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
    /// Only say whether it is possible.
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(arguments: &Arguments, admin: &Admin) -> Result<Answer> {
    let change = |key: &String| ConfigChange {
        name: key.as_str().into(),
        operation: ConfigOperation::Unset,
    };
    let changes = arguments.keys.iter().map(change);
    apply(&arguments.whose, changes.collect(), arguments.dry_run, admin).await
}
