//! Profiles as the command line takes them: by file or by name, and what is no profile at all.

use crate::usage::Transcript;

/// Text that is no TOML, a fault a line.
const PROSE: &str = "# Profiles\n\nA profile says what is streamed, and who reads beside it.\n\
                     Every key has a default, so it may be short.\n\nThe keys are in a table.\n";

#[tokio::test]
async fn what_is_no_profile_is_one_fault() {
    let mut transcript = Transcript::new();
    let utf16: Vec<u8> = "\u{feff}[stream]\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let large = vec![b'#'; (16 << 20) + 1];
    let long = format!("x = [{}}}\n", " ".repeat(70_000));
    let files: [(&str, &[u8]); 7] = [
        ("program", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0"),
        ("utf-16.toml", &utf16),
        ("latin-1.toml", b"name = 'x'\n# caf\xe9\n"),
        ("readme.md", PROSE.as_bytes()),
        ("large.toml", &large),
        ("folder/x.toml", b""),
        ("long.toml", long.as_bytes()),
    ];
    for (name, _) in &files {
        let name = name.split('/').next().unwrap();
        transcript.refuse_among(&files, &["check", name], &[]).await;
    }
    for name in ["/dev/zero", "-", "missing.toml", "groupby", "nonsense"] {
        transcript.refuse(&["check", name]).await;
    }
    // All that is wrong with all of them, and what is wrong with the call once.
    transcript
        .refuse_in(&[], &["check", "groupby", "basic", "windows", "--pairs-min", "0"], &[])
        .await;
    insta::assert_snapshot!(transcript.text);
}
