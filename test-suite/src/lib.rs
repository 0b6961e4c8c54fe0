//! The tests: files with RUN and CHECK lines.
