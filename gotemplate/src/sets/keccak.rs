//! SHA3-256 (FIPS 202), for the agent's `Hash`. Not for secrets that matter: it is what existing configurations name.

const ROTATIONS: [u32; 24] =
    [1, 3, 6, 10, 15, 21, 28, 36, 45, 55, 2, 14, 27, 41, 56, 8, 25, 43, 62, 18, 39, 61, 20, 44];
const LANES: [usize; 24] = [10, 7, 11, 17, 18, 3, 5, 16, 8, 21, 24, 4, 15, 23, 19, 13, 12, 2, 20, 14, 22, 9, 6, 1];
/// Bytes taken in between two permutations.
const RATE: usize = 136;

/// The digest of `input`.
pub(super) fn sha3_256(input: &[u8]) -> [u8; 32] {
    let mut state = [0u64; 25];
    let mut padded = input.to_vec();
    padded.push(0x06);
    padded.resize(padded.len().next_multiple_of(RATE), 0);
    if let Some(last) = padded.last_mut() {
        *last |= 0x80;
    }
    for block in padded.chunks_exact(RATE) {
        for (lane, bytes) in state.iter_mut().zip(block.chunks_exact(8)) {
            *lane ^= bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        permute(&mut state);
    }
    let mut out = [0; 32];
    for (bytes, lane) in out.chunks_exact_mut(8).zip(state) {
        bytes.copy_from_slice(&lane.to_le_bytes());
    }
    out
}

fn permute(state: &mut [u64; 25]) {
    // The round constants are bits of a shift register.
    let mut register = 1u8;
    for _ in 0..24 {
        let mut parity = [0u64; 5];
        for (at, lane) in state.iter().enumerate() {
            parity[at % 5] ^= lane;
        }
        for (at, lane) in state.iter_mut().enumerate() {
            *lane ^= parity[(at + 4) % 5] ^ parity[(at + 1) % 5].rotate_left(1);
        }
        let mut moved = state[1];
        for (lane, rotation) in LANES.into_iter().zip(ROTATIONS) {
            moved = std::mem::replace(&mut state[lane], moved.rotate_left(rotation));
        }
        for row in state.chunks_exact_mut(5) {
            let old = [row[0], row[1], row[2], row[3], row[4]];
            for (at, lane) in row.iter_mut().enumerate() {
                *lane = old[at] ^ (!old[(at + 1) % 5] & old[(at + 2) % 5]);
            }
        }
        for power in 0..7 {
            if register & 1 == 1 {
                state[0] ^= 1 << ((1u64 << power) - 1);
            }
            let carry = register >> 7;
            register = register << 1 ^ (carry * 0x71);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::sha3_256;

    #[test]
    fn digests_of_all_paddings() {
        let hex = |digest: [u8; 32]| digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        for (input, want) in [
            (Vec::new(), "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a"),
            (b"abc".to_vec(), "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"),
            (vec![b'x'; 135], "c150125edc74b56fb5cbfdd024fabe20ea5a99bd3c97305bbf7cb55885c106fe"),
            (vec![b'x'; 136], "5bc276bac9c582508b8fa9b3949e7ed9b6e584ee4d2925b29a426b9931ba1486"),
            (vec![b'x'; 300], "34ed36d4d71d1a9a582cce5a006d6102d173fd867a27be7b2fe5d854587ddba2"),
        ] {
            assert_eq!(hex(sha3_256(&input)), want, "{} bytes", input.len());
        }
    }
}
