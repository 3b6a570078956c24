//! How much smaller a topic's records become by compression, as its last batches tell. Pure.
//!
//! A batch is full by the bytes that it will have on the wire, and those are known only when it is
//! compressed, which is when it is sent. Until then they are guessed, as Kafka's producer does: the
//! guess follows bad news fast and good news slowly, because a batch that comes out too large may
//! have to be taken apart again.

/// How much a batch may better the guess, and how much one worsens it at least.
const BETTER_STEP: f32 = 0.005;
const WORSE_STEP: f32 = 0.05;
/// What is added to a guess, since the next batch is not like the last one.
const CAUTION: f32 = 1.05;

/// Compressed bytes to plain ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ratio(f32);

impl Default for Ratio {
    /// Nothing is known: records do not become smaller.
    fn default() -> Self {
        Self(1.0)
    }
}

impl Ratio {
    /// A batch of so many plain bytes has become so many.
    pub(super) fn learn(&mut self, plain: usize, compressed: usize) {
        let Some(seen) = ratio(plain, compressed) else { return };
        self.0 = if seen > self.0 {
            seen.max(self.0 + WORSE_STEP)
        } else {
            seen.max(self.0 - BETTER_STEP)
        };
    }

    /// A batch was too large for its topic: nothing is expected of compression any more.
    pub(super) fn disappoint(&mut self, plain: usize, compressed: usize) {
        self.0 = ratio(plain, compressed).map_or(1.0, |seen| seen.max(1.0));
    }

    /// How many plain bytes become no more than these, as far as one knows.
    pub(super) fn plain(self, compressed: usize) -> usize {
        let factor = self.0 * CAUTION;
        if factor >= 1.0 { compressed } else { (compressed as f32 / factor) as usize }
    }

    /// How many bytes these will become.
    pub(super) fn compressed(self, plain: usize) -> usize {
        (plain as f32 * (self.0 * CAUTION).min(1.0)) as usize
    }
}

fn ratio(plain: usize, compressed: usize) -> Option<f32> {
    (plain > 0).then(|| compressed as f32 / plain as f32)
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn bad_news_counts_at_once_and_good_news_slowly() {
        let mut ratio = Ratio::default();
        assert_eq!(ratio.plain(16_384), 16_384);
        ratio.learn(1_000, 100);
        assert!((0.994..0.996).contains(&ratio.0), "{ratio:?}");
        for _ in 0..1_000 {
            ratio.learn(1_000, 100);
        }
        assert!((0.099..0.101).contains(&ratio.0), "it ends where they are: {ratio:?}");
        assert!((150_000..160_000).contains(&ratio.plain(16_384)), "{}", ratio.plain(16_384));
        assert!(ratio.compressed(ratio.plain(16_384)) <= 16_384);
        ratio.learn(1_000, 101);
        assert!((0.149..0.151).contains(&ratio.0), "a whole step: {ratio:?}");
        ratio.learn(1_000, 900);
        assert!((0.899..0.901).contains(&ratio.0), "{ratio:?}");
        ratio.disappoint(1_000, 300);
        assert_eq!(ratio, Ratio(1.0));
        ratio.learn(0, 0);
        assert_eq!(ratio, Ratio(1.0), "an empty batch tells nothing");
    }

    #[test]
    fn what_grows_by_compression_is_not_taken_for_smaller() {
        let mut ratio = Ratio::default();
        ratio.learn(1_000, 1_200);
        assert!(ratio.0 > 1.1);
        assert_eq!((ratio.plain(1_000), ratio.compressed(1_000)), (1_000, 1_000));
    }
}
