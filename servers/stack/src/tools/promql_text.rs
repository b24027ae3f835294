//! `tool promql …`: queries as text: in the one form that is printed, and with matchers set or taken away.

use model::{MatchOp, Matcher};
use promql::{Expr, ParserOptions};

use super::args::{Args, Known};
use super::{Failure, Outcome};

fn parse(text: &str, parser: ParserOptions) -> Result<Expr, String> {
    promql::parse(text, &parser).map_err(|e| format!("  FAILED: {e}"))
}

/// Prints a query in the one form.
pub(super) fn format(words: &[&str], parser: ParserOptions) -> Outcome {
    let args = Args::read(words, &Known { switches: &[], values: &[] }).map_err(Failure::Usage)?;
    let [query] = args.words.as_slice() else {
        return Err(Failure::Usage("required argument 'query' not provided".to_owned()));
    };
    println!("{}", promql::pretty(&parse(query, parser)?));
    Ok(())
}

/// Sets a matcher in every selector.
pub(super) fn set_matcher(words: &[&str], parser: ParserOptions) -> Outcome {
    let args = Args::read(words, &Known { switches: &[], values: &["t", "type"] }).map_err(Failure::Usage)?;
    let [query, name, value] = args.words.as_slice() else {
        return Err(Failure::Usage("arguments 'query', 'name' and 'value' are needed".to_owned()));
    };
    let op = match args.get("t").or(args.get("type")).unwrap_or("=") {
        "=" => MatchOp::Equal,
        "!=" => MatchOp::NotEqual,
        "=~" => MatchOp::Regex,
        "!~" => MatchOp::NotRegex,
        other => return Err(Failure::Usage(format!("unknown matcher type {other:?}"))),
    };
    let matcher = Matcher::new(op, name, value).map_err(|e| format!("  FAILED: {e}"))?;
    println!("{}", set(query, &matcher, parser)?);
    Ok(())
}

/// Takes the matchers of a label out of every selector.
pub(super) fn delete_matcher(words: &[&str], parser: ParserOptions) -> Outcome {
    let args = Args::read(words, &Known { switches: &[], values: &[] }).map_err(Failure::Usage)?;
    let [query, name] = args.words.as_slice() else {
        return Err(Failure::Usage("arguments 'query' and 'name' are needed".to_owned()));
    };
    println!("{}", delete(query, name, parser)?);
    Ok(())
}

fn set(query: &str, matcher: &Matcher, parser: ParserOptions) -> Result<String, String> {
    let mut expr = parse(query, parser)?;
    each_selector(&mut expr, &mut |matchers| {
        match matchers.iter_mut().find(|known| known.name() == matcher.name() && known.op() == matcher.op()) {
            Some(known) => *known = matcher.clone(),
            // The name's own matcher stays last.
            None => matchers.insert(0, matcher.clone()),
        }
    });
    Ok(promql::pretty(&expr))
}

fn delete(query: &str, name: &str, parser: ParserOptions) -> Result<String, String> {
    let mut expr = parse(query, parser)?;
    each_selector(&mut expr, &mut |matchers| matchers.retain(|matcher| matcher.name() != name));
    Ok(promql::pretty(&expr))
}

fn each_selector(expr: &mut Expr, change: &mut impl FnMut(&mut Vec<Matcher>)) {
    match expr {
        Expr::Vector(selector) => change(&mut selector.matchers),
        Expr::Matrix(matrix) => change(&mut matrix.vector.matchers),
        Expr::Aggregate(aggregate) => {
            each_selector(&mut aggregate.expr, change);
            aggregate.param.iter_mut().for_each(|param| each_selector(param, change));
        }
        Expr::Binary(binary) => {
            each_selector(&mut binary.left, change);
            each_selector(&mut binary.right, change);
        }
        Expr::Call(call) => call.args.iter_mut().for_each(|arg| each_selector(arg, change)),
        Expr::Paren(paren) => each_selector(&mut paren.expr, change),
        Expr::Subquery(subquery) => each_selector(&mut subquery.expr, change),
        Expr::Unary(unary) => each_selector(&mut unary.expr, change),
        Expr::Number(_) | Expr::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_are_set_and_deleted_everywhere() {
        let parser = ParserOptions::default();
        let matcher = Matcher::equal("env", "prod");
        let query = r#"sum(rate(a{env="dev"}[5m])) / b"#;
        let changed = set(query, &matcher, parser).unwrap();
        assert_eq!(
            promql::parse(&changed, &parser).unwrap().to_string(),
            r#"sum(rate(a{env="prod"}[5m])) / b{env="prod"}"#
        );
        let without = delete(&changed, "env", parser).unwrap();
        assert_eq!(promql::parse(&without, &parser).unwrap().to_string(), "sum(rate(a[5m])) / b");
        assert!(set("sum(", &matcher, parser).is_err());
    }
}
