use super::*;
use crate::proto::Writer;

fn attribute(w: &mut Writer, number: u32, key: &str, value: &str) {
    w.message(number, |w| {
        w.bytes(1, key.as_bytes());
        w.message(2, |w| w.bytes(1, value.as_bytes()));
    });
}

#[test]
fn both_encodings_of_metrics_agree() {
    let json =
        br#"{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
      "scopeMetrics":[{"scope":{"name":"lib","version":"1"},"metrics":[
        {"name":"orders","unit":"1","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[
          {"attributes":[{"key":"ok","value":{"boolValue":true}}],"timeUnixNano":"7","asInt":"5"}]}},
        {"name":"latency","histogram":{"aggregationTemporality":2,"dataPoints":[
          {"timeUnixNano":7,"count":"3","sum":1.5,"bucketCounts":["1","2"],"explicitBounds":[0.5]}]}},
        {"name":"sizes","exponentialHistogram":{"aggregationTemporality":1,"dataPoints":[
          {"timeUnixNano":"7","count":2,"scale":-1,"zeroCount":"1","positive":{"offset":-3,"bucketCounts":["1"]}}]}}
      ]}]}]}"#;
    let mut w = Writer::new();
    w.message(1, |w| {
        w.message(1, |w| attribute(w, 1, "service.name", "shop"));
        w.message(2, |w| {
            w.message(1, |w| {
                w.bytes(1, b"lib");
                w.bytes(2, b"1");
            });
            w.message(2, |w| {
                w.bytes(1, b"orders");
                w.bytes(3, b"1");
                w.message(7, |w| {
                    w.message(1, |w| {
                        w.message(7, |w| {
                            w.bytes(1, b"ok");
                            w.message(2, |w| w.varint(2, 1));
                        });
                        w.fixed64(3, 7);
                        w.fixed64(6, 5);
                    });
                    w.varint(2, 2);
                    w.varint(3, 1);
                });
            });
            w.message(2, |w| {
                w.bytes(1, b"latency");
                w.message(9, |w| {
                    w.message(1, |w| {
                        w.fixed64(3, 7);
                        w.fixed64(4, 3);
                        w.double(5, 1.5);
                        w.bytes(6, &[1u64.to_le_bytes(), 2u64.to_le_bytes()].concat());
                        w.double(7, 0.5);
                    });
                    w.varint(2, 2);
                });
            });
            w.message(2, |w| {
                w.bytes(1, b"sizes");
                w.message(10, |w| {
                    w.message(1, |w| {
                        w.fixed64(3, 7);
                        w.fixed64(4, 2);
                        w.varint(6, crate::proto::zigzag(-1));
                        w.fixed64(7, 1);
                        w.message(8, |w| {
                            w.varint(1, crate::proto::zigzag(-3));
                            w.varint(2, 1);
                        });
                    });
                    w.varint(2, 1);
                });
            });
        });
    });
    let bytes = w.into_bytes();
    let binary = decode_metrics(&bytes, Encoding::Protobuf).unwrap();
    assert_eq!(decode_metrics(json, Encoding::Json).unwrap(), binary);
    let names: Vec<_> = binary[0].scopes[0].metrics.iter().map(|m| m.name.as_ref()).collect();
    assert_eq!(names, ["orders", "latency", "sizes"]);
    for cut in 0..bytes.len() {
        let _ = decode_metrics(&bytes[..cut], Encoding::Protobuf);
        let mut flipped = bytes.clone();
        flipped[cut] ^= 0x55;
        let _ = decode_metrics(&flipped, Encoding::Protobuf);
    }
}

#[test]
fn both_encodings_of_logs_agree() {
    let json = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1","observedTimeUnixNano":"2",
        "severityNumber":9,"severityText":"INFO","body":{"kvlistValue":{"values":[{"key":"a","value":{"arrayValue":{"values":[
        {"intValue":"-4"},{"doubleValue":0.5},{"bytesValue":"aGk="}]}}}]}},"traceId":"0aff","flags":1}]}]}]}"#;
    let mut w = Writer::new();
    w.message(1, |w| {
        w.message(2, |w| {
            w.message(2, |w| {
                w.fixed64(1, 1);
                w.varint(2, 9);
                w.bytes(3, b"INFO");
                w.message(5, |w| {
                    w.message(6, |w| {
                        w.message(1, |w| {
                            w.bytes(1, b"a");
                            w.message(2, |w| {
                                w.message(5, |w| {
                                    w.message(1, |w| w.varint(3, -4i64 as u64));
                                    w.message(1, |w| w.double(4, 0.5));
                                    w.message(1, |w| w.bytes(7, b"hi"));
                                });
                            });
                        });
                    });
                });
                w.bytes(8, b"");
                w.bytes(9, &[0x0a, 0xff]);
                w.fixed64(11, 2);
            });
        });
    });
    // Flags are a fixed32, which the writer does not have: field 8 is written by hand.
    let mut bytes = w.into_bytes();
    let at = bytes.windows(2).position(|pair| pair == [0x42, 0x00]).unwrap();
    bytes.splice(at..at + 2, [0x45, 1, 0, 0, 0]);
    // Three enclosing messages grew by three bytes.
    for offset in [1, 3, 5] {
        bytes[offset] += 3;
    }
    assert_eq!(decode_logs(json, Encoding::Json).unwrap(), decode_logs(&bytes, Encoding::Protobuf).unwrap());
}

#[test]
fn refuses_deep_and_wrong_bodies() {
    let mut message = Writer::new();
    message.bytes(1, b"x");
    for _ in 0..40 {
        let inner = message.into_bytes();
        message = Writer::new();
        message.message(5, |w| w.bytes(1, &inner));
    }
    let deep = message.into_bytes();
    assert!(matches!(value(&deep, 0), Err(Error::Limit { .. })));
    for (json, want) in [
        (r#"[]"#, "expected an object"),
        (r#"{"resourceLogs":{}}"#, "resourceLogs: expected a list"),
        (
            r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"x"}]}]}]}"#,
            "timeUnixNano: expected an integer",
        ),
        (r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"traceId":"zz"}]}]}]}"#, "traceId: expected hexadecimal"),
    ] {
        let error = decode_logs(json.as_bytes(), Encoding::Json).unwrap_err().to_string();
        assert!(error.contains(want), "{json}: {error}");
    }
}
