//! The partnership's mark: kept by the device, replaced when it changes.

use tandem_model::id::Guid;
use tandem_model::player::{Mark, Player};

/// None at first, then what was set last.
///
/// # Panics
/// When it isn't.
pub async fn a_mark_is_kept_and_replaced(player: &dyn Player) {
    assert_eq!(player.mark().await, Ok(None));
    let device = Guid(0x1234_5678_9abc_def0_1122_3344_5566_7788);
    for relationship in [Guid(1), Guid(1), Guid(u128::MAX), Guid::ZERO] {
        let mark = Mark { device, relationship };
        player.set_mark(mark).await.unwrap();
        assert_eq!(player.mark().await, Ok(Some(mark)));
    }
}
