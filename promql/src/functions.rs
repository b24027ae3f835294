//! The functions of the language: names, argument types, and a line of help for each.

use crate::ast::ValueType;
use ValueType::{Matrix, Scalar, String, Vector};

/// Signature of a function.
#[derive(Debug)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Types of the arguments; the last one repeats for further arguments.
    pub args: &'static [ValueType],
    /// 0: exactly `args`; n > 0: the last argument may be left out and up to n of it given; -1: any number, none included.
    pub variadic: i8,
    /// What it evaluates to.
    pub returns: ValueType,
    /// Whether it needs [`crate::ParserOptions::experimental_functions`].
    pub experimental: bool,
    /// What it does.
    pub help: &'static str,
}

/// By name: there is one function of each.
impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

const fn f(
    name: &'static str,
    args: &'static [ValueType],
    variadic: i8,
    returns: ValueType,
    help: &'static str,
) -> Function {
    Function { name, args, variadic, returns, experimental: false, help }
}

const fn x(
    name: &'static str,
    args: &'static [ValueType],
    variadic: i8,
    returns: ValueType,
    help: &'static str,
) -> Function {
    Function { name, args, variadic, returns, experimental: true, help }
}

const V: &[ValueType] = &[Vector];
const M: &[ValueType] = &[Matrix];
const SS: &[ValueType] = &[Scalar, Scalar];

/// All functions, ascending by name.
pub static FUNCTIONS: &[Function] = &[
    f("abs", V, 0, Vector, "absolute value"),
    f("absent", V, 0, Vector, "1 where the vector has no element"),
    f("absent_over_time", M, 0, Vector, "1 where no series has a sample in the window"),
    f("acos", V, 0, Vector, "arc cosine, in radians"),
    f("acosh", V, 0, Vector, "inverse hyperbolic cosine"),
    f("asin", V, 0, Vector, "arc sine, in radians"),
    f("asinh", V, 0, Vector, "inverse hyperbolic sine"),
    f("atan", V, 0, Vector, "arc tangent, in radians"),
    f("atanh", V, 0, Vector, "inverse hyperbolic tangent"),
    f("avg_over_time", M, 0, Vector, "mean of the window"),
    f("ceil", V, 0, Vector, "rounds up"),
    f("changes", M, 0, Vector, "how often the value changed in the window"),
    f("clamp", &[Vector, Scalar, Scalar], 0, Vector, "limits values to a range"),
    f("clamp_max", &[Vector, Scalar], 0, Vector, "limits values from above"),
    f("clamp_min", &[Vector, Scalar], 0, Vector, "limits values from below"),
    f("cos", V, 0, Vector, "cosine"),
    f("cosh", V, 0, Vector, "hyperbolic cosine"),
    f("count_over_time", M, 0, Vector, "number of samples in the window"),
    f("day_of_month", V, 1, Vector, "day of the month of a Unix time, 1 to 31, UTC"),
    f("day_of_week", V, 1, Vector, "day of the week of a Unix time, 0 is Sunday, UTC"),
    f("day_of_year", V, 1, Vector, "day of the year of a Unix time, 1 to 366, UTC"),
    f("days_in_month", V, 1, Vector, "days in the month of a Unix time, UTC"),
    f("deg", V, 0, Vector, "radians to degrees"),
    f("delta", M, 0, Vector, "difference over the window of a gauge, extrapolated to its edges"),
    f("deriv", M, 0, Vector, "slope per second of the least-squares line through the window"),
    x(
        "double_exponential_smoothing",
        &[Matrix, Scalar, Scalar],
        0,
        Vector,
        "smoothed value with a smoothing and a trend factor",
    ),
    x("end", &[], 0, Scalar, "last evaluation time of the query, in seconds"),
    f("exp", V, 0, Vector, "e to the power of the value"),
    f("first_over_time", M, 0, Vector, "oldest sample of the window"),
    f("floor", V, 0, Vector, "rounds down"),
    f("histogram_avg", V, 0, Vector, "mean of the observations of native histograms"),
    f("histogram_count", V, 0, Vector, "number of observations of native histograms"),
    f("histogram_fraction", &[Scalar, Scalar, Vector], 0, Vector, "fraction of observations between two values"),
    f("histogram_quantile", &[Scalar, Vector], 0, Vector, "quantile of classic or native histograms"),
    x(
        "histogram_quantiles",
        &[Vector, String, Scalar, Scalar],
        9,
        Vector,
        "several quantiles of histograms, told apart by a label",
    ),
    f("histogram_stddev", V, 0, Vector, "estimated standard deviation of native histograms"),
    f("histogram_stdvar", V, 0, Vector, "estimated variance of native histograms"),
    f("histogram_sum", V, 0, Vector, "sum of the observations of native histograms"),
    f("hour", V, 1, Vector, "hour of the day of a Unix time, UTC"),
    f("idelta", M, 0, Vector, "difference of the last two samples"),
    f("increase", M, 0, Vector, "increase of a counter over the window, extrapolated to its edges"),
    x("info", &[Vector, Vector], 1, Vector, "adds the data labels of matching info series"),
    f("irate", M, 0, Vector, "per-second increase between the last two samples of a counter"),
    f("label_join", &[Vector, String, String, String], -1, Vector, "sets a label to the joined values of others"),
    f(
        "label_replace",
        &[Vector, String, String, String, String],
        0,
        Vector,
        "sets a label from another one by a regular expression",
    ),
    f("last_over_time", M, 0, Vector, "newest sample of the window"),
    f("ln", V, 0, Vector, "natural logarithm"),
    f("log10", V, 0, Vector, "decimal logarithm"),
    f("log2", V, 0, Vector, "binary logarithm"),
    x("mad_over_time", M, 0, Vector, "median absolute deviation of the window"),
    x("max_of", SS, 0, Scalar, "the larger of two numbers"),
    f("max_over_time", M, 0, Vector, "largest value of the window"),
    x("min_of", SS, 0, Scalar, "the smaller of two numbers"),
    f("min_over_time", M, 0, Vector, "smallest value of the window"),
    f("minute", V, 1, Vector, "minute of the hour of a Unix time, UTC"),
    f("month", V, 1, Vector, "month of the year of a Unix time, 1 to 12, UTC"),
    f("pi", &[], 0, Scalar, "the number pi"),
    f("predict_linear", &[Matrix, Scalar], 0, Vector, "value some seconds ahead by the least-squares line"),
    f("present_over_time", M, 0, Vector, "1 where the window has a sample"),
    f("quantile_over_time", &[Scalar, Matrix], 0, Vector, "quantile of the values of the window"),
    f("rad", V, 0, Vector, "degrees to radians"),
    x("range", &[], 0, Scalar, "length of the query's time range, in seconds"),
    f("rate", M, 0, Vector, "per-second increase of a counter over the window, extrapolated to its edges"),
    f("resets", M, 0, Vector, "how often a counter was reset in the window"),
    f("round", &[Vector, Scalar], 1, Vector, "rounds to the nearest multiple, ties up"),
    f("scalar", V, 0, Scalar, "the value of the only element, else NaN"),
    f("sgn", V, 0, Vector, "sign: -1, 0 or 1"),
    f("sin", V, 0, Vector, "sine"),
    f("sinh", V, 0, Vector, "hyperbolic sine"),
    f("sort", V, 0, Vector, "sorts by value, ascending"),
    x("sort_by_label", &[Vector, String], -1, Vector, "sorts by labels in natural order, ascending"),
    x("sort_by_label_desc", &[Vector, String], -1, Vector, "sorts by labels in natural order, descending"),
    f("sort_desc", V, 0, Vector, "sorts by value, descending"),
    f("sqrt", V, 0, Vector, "square root"),
    x("start", &[], 0, Scalar, "first evaluation time of the query, in seconds"),
    x("start_timestamp", V, 0, Vector, "start time of the selected samples, in seconds"),
    f("stddev_over_time", M, 0, Vector, "population standard deviation of the window"),
    f("stdvar_over_time", M, 0, Vector, "population variance of the window"),
    x("step", &[], 0, Scalar, "distance of the evaluation times of the query, in seconds"),
    f("sum_over_time", M, 0, Vector, "sum of the window"),
    f("tan", V, 0, Vector, "tangent"),
    f("tanh", V, 0, Vector, "hyperbolic tangent"),
    f("time", &[], 0, Scalar, "evaluation time, in seconds"),
    f("timestamp", V, 0, Vector, "time of the samples, in seconds"),
    x("ts_of_first_over_time", M, 0, Vector, "time of the oldest sample of the window"),
    x("ts_of_last_over_time", M, 0, Vector, "time of the newest sample of the window"),
    x("ts_of_max_over_time", M, 0, Vector, "time of the last largest value of the window"),
    x("ts_of_min_over_time", M, 0, Vector, "time of the last smallest value of the window"),
    f("vector", &[Scalar], 0, Vector, "a scalar as a vector without labels"),
    f("year", V, 1, Vector, "year of a Unix time, UTC"),
];

/// The function of a name; names are case-sensitive.
pub fn function(name: &str) -> Option<&'static Function> {
    FUNCTIONS.binary_search_by(|f| f.name.cmp(name)).ok().map(|at| &FUNCTIONS[at])
}

/// Functions whose result depends on the evaluation time even when their arguments do not.
pub(crate) fn depends_on_time(name: &str) -> bool {
    matches!(
        name,
        "days_in_month"
            | "day_of_month"
            | "day_of_week"
            | "day_of_year"
            | "end"
            | "hour"
            | "minute"
            | "month"
            | "year"
            | "predict_linear"
            | "range"
            | "start"
            | "step"
            | "time"
            | "timestamp"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sorted_and_complete() {
        assert!(FUNCTIONS.windows(2).all(|w| w[0].name < w[1].name));
        assert_eq!(FUNCTIONS.len(), 90);
        assert_eq!(function("rate").map(|f| f.returns), Some(Vector));
        assert_eq!(function("Rate"), None);
    }
}
