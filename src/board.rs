//! The board under the daemon: [`Board`](crate::governor::Board) over sysinfo, `/proc` and `/sys`.
