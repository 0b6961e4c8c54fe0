//! Test data of the command line.

use crate::{Cli, model::Model};
use nim_onnx::dataset::DataSet;
use nim_tensor::{Tolerance, Value};
use nim_tools::{
    Failure, Interface,
    dataset::{self, Noise, OutputResult},
};
use std::path::{Path, PathBuf};

/// Where the data lies and what is allowed.
pub struct TestData {
    /// Folders of data sets.
    pub sets: Vec<PathBuf>,
    /// How far outputs may be off.
    pub tolerance: Tolerance,
}

impl TestData {
    /// Looks at a folder; what the command line says of the tolerance comes first.
    pub fn open(cli: &Cli, folder: &Path) -> Result<TestData, Failure> {
        let file = dataset::tolerance(folder)?;
        let tolerance = Tolerance {
            rtol: cli.rtol.unwrap_or(file.rtol),
            atol: cli.atol.unwrap_or(file.atol),
            scaled_atol: cli.scaled_atol.unwrap_or(file.scaled_atol),
        };
        Ok(TestData { sets: dataset::data_sets(folder)?, tolerance })
    }
}

/// One data set.
pub struct Set {
    data: DataSet,
    noise: Noise,
    /// The inputs in the model's order.
    pub inputs: Vec<Value>,
}

impl Set {
    /// Reads a data set and checks that its inputs fit.
    pub fn read(folder: &Path, model: &Model) -> Result<Set, Failure> {
        let interface = model.engine.interface();
        let data = dataset::read_for_interface(folder, interface)?;
        let inputs = dataset::inputs(&data, interface)?;
        Ok(Set { data, noise: dataset::noise(folder)?, inputs })
    }

    /// Compares outputs.
    pub fn compare(
        &self,
        outputs: &[Value],
        interface: &Interface,
        tolerance: &Tolerance,
    ) -> Result<Vec<OutputResult>, Failure> {
        dataset::compare_outputs(outputs, &self.data, interface, tolerance, &self.noise)
    }
}
