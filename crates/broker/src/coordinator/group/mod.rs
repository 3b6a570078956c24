//! Consumer groups.

#[cfg_attr(not(test), expect(dead_code, reason = "the groups that call it come next"))]
mod assignor;
#[cfg_attr(not(test), expect(dead_code, reason = "the groups that call it come next"))]
mod regex;
