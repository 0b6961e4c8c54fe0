// What the C API of MLIR lacks: reading ops without verifying them, and asking about registered ops.

#include "mlir-c/IR.h"
#include "mlir/CAPI/IR.h"
#include "mlir/CAPI/Support.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"

// Reads a text as a module; verifies nothing but that a module can hold what it says. Null when it cannot be read.
extern "C" MlirModule nimMlirParseUnverified(MlirContext context, MlirStringRef text, MlirStringRef name) {
  mlir::ParserConfig config(unwrap(context), /*verifyAfterParse=*/false);
  mlir::OwningOpRef<mlir::ModuleOp> module =
      mlir::parseSourceString<mlir::ModuleOp>(unwrap(text), config, unwrap(name));
  return wrap(module.release());
}

// Whether an op ends blocks; false when no loaded dialect has it.
extern "C" bool nimMlirIsTerminator(MlirContext context, MlirStringRef name) {
  std::optional<mlir::RegisteredOperationName> found =
      mlir::RegisteredOperationName::lookup(unwrap(name), unwrap(context));
  return found && found->hasTrait<mlir::OpTrait::IsTerminator>();
}

// Calls back with the name of each registered op of a loaded dialect, in the order of the names.
extern "C" void nimMlirOperationsOfDialect(MlirContext context, MlirStringRef dialect, MlirStringCallback callback,
                                           void *data) {
  // getRegisteredOperationsByDialect searches with a comparison that is none, and finds little.
  for (mlir::RegisteredOperationName name : unwrap(context)->getRegisteredOperations())
    if (name.getDialectNamespace() == unwrap(dialect))
      callback(wrap(name.getStringRef()), data);
}
