//! PromQL: lexer, parser, planner and columnar evaluator over any series source.
