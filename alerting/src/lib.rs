//! Alert rules as pure state machines; grouping, inhibition, silences, routing and notification messages.
