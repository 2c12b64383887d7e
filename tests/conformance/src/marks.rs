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

/// A mark that is taken away leaves nothing where it was alone; one that isn't there is no error.
///
/// # Panics
/// When that isn't so.
pub async fn a_mark_goes_with_its_file(player: &dyn Player) {
    let mark = Mark { device: Guid(3), relationship: Guid(4) };
    player.set_mark(mark).await.unwrap();
    player.remove_mark(mark).await.unwrap();
    assert_eq!(player.mark().await, Ok(None));
    player.remove_mark(mark).await.unwrap();
    // another's is left, without a partnership of ours
    let other = Mark { device: Guid(5), relationship: Guid::ZERO };
    player.set_mark(other).await.unwrap();
    player.remove_mark(mark).await.unwrap();
    assert_eq!(player.mark().await, Ok(Some(Mark { relationship: Guid::ZERO, ..mark })));
}
