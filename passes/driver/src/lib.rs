//! Pass manager: passes, pipelines, instrumentation.
