// Prompts of template and text: where special tokens are special, and what is added.

import Testing
import Tokenizers

@Suite struct SegmentTests {
    private let byteLevel = Synthetic.byteLevel(
        merges: ["a b", "ab c"], specials: ["<|im_end|>", "<|im_end|>x", "<|im_start|>"])

    @Test("special tokens are recognised in the template only, the longest first")
    func specials() throws {
        let tokenizer = try Tokenizer(byteLevel)
        #expect(tokenizer.encode([.template("<|im_end|><|im_end|>x<|im_start|>")]) == [258, 259, 260])
        let typed = tokenizer.encode([.text("<|im_end|>")])
        #expect(typed == "<|im_end|>".utf8.map { Int32($0) })
        #expect(typed == tokenizer.encode("<|im_end|>"))
        // Nor where a user's text and the template make one together.
        #expect(!tokenizer.encode([.text("<|im_"), .template("end|>")]).contains(258))
    }

    @Test("text is joined across segments up to the next special token")
    func joined() throws {
        let tokenizer = try Tokenizer(byteLevel)
        #expect(tokenizer.encode([.template("a"), .text("b"), .text("c")]) == [257])
        #expect(tokenizer.encode([.text("a"), .template("<|im_end|>b"), .text("c")]) == [0x61, 258, 0x62, 0x63])
    }

    @Test("begin-of-text comes first once, and not when continuing")
    func beginOfText() throws {
        var vocabulary = byteLevel
        vocabulary.beginOfText = 260
        vocabulary.addsBeginOfText = true
        let tokenizer = try Tokenizer(vocabulary)
        #expect(tokenizer.encode([.text("a")]) == [260, 0x61])
        #expect(tokenizer.encode([.template("<|im_start|>"), .text("a")]) == [260, 0x61])
        #expect(tokenizer.encode([.text("a")], continuing: true) == [0x61])
        #expect(tokenizer.encode([]) == [260])
        #expect(tokenizer.encode("a") == [0x61])
    }

    @Test("SentencePiece puts a space before the first text and after special tokens, not when continuing")
    func spacePrefix() throws {
        let tokenizer = try Tokenizer(Synthetic.words)
        let hello = tokenizer.encode("hello")
        let bare = tokenizer.encode([.text("hello")], continuing: true)
        #expect(hello.count == 1)
        #expect(bare == Array(tokenizer.encode("hellohello").dropFirst()))
        #expect(tokenizer.encode([.text("hello"), .template("</s>"), .text("hello")]) == [1] + hello + [2] + hello)
        #expect(
            tokenizer.encode([.text("hello"), .template("</s>"), .text("hello")], continuing: true) == bare + [2]
                + hello)
        #expect(tokenizer.decode(hello + [2] + hello) == "hellohello")
    }

    @Test("a generation ends at the named tokens and at control tokens that end a turn in a known format")
    func endOfGeneration() throws {
        var vocabulary = byteLevel
        #expect(try Tokenizer(vocabulary).endOfGeneration == [258])
        vocabulary.endOfText = 260
        #expect(try Tokenizer(vocabulary).endOfGeneration == [258, 260])
        #expect(try Tokenizer(Synthetic.words).endOfGeneration == [2])
        #expect(try Tokenizer(Vocabulary(gguf: TestFiles.needle)).endOfGeneration == [0, 2])
    }

    @Test(
        "a generation ends at each token that ends a turn, a message or a text, by its text or by its key",
        arguments: [
            "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<|end|>", "<|return|>", "</s>", "<|endoftext|>",
            "<|end_of_text|>", "<EOT>", "<end_of_utterance>", "<｜end▁of▁sentence｜>", "<eos>", "[EOS]", "<turn|>",
            "<|calls|>", "<|flush|>", "<|tool_response>", "[e~[",
        ])
    func turnEnds(text: String) throws {
        #expect(try Tokenizer(Synthetic.byteLevel(merges: [], specials: [text])).endOfGeneration == [256])
        var vocabulary = Synthetic.byteLevel(merges: [], specials: ["<a>", "<b>", "<c>"])
        (vocabulary.endOfText, vocabulary.endOfTurn, vocabulary.endOfMessage) = (256, 257, 258)
        #expect(try Tokenizer(vocabulary).endOfGeneration == [256, 257, 258])
    }

    @Test("where answers have channels, the end of one message does not end the answer") func channels() throws {
        let texts = ["<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|return|>", "<|call|>"]
        #expect(try Tokenizer(Synthetic.byteLevel(merges: [], specials: texts)).endOfGeneration == [260, 261])
    }

    @Test("a turn's end that the file calls an ordinary token is special all the same")
    func mislabelledTurnEnd() throws {
        var vocabulary = byteLevel
        vocabulary.kinds = []
        let tokenizer = try Tokenizer(vocabulary)
        #expect(tokenizer.encode([.template("<|im_end|>")]) == [258])
        #expect(tokenizer.bytes(of: 258).isEmpty)
        #expect(tokenizer.endOfGeneration == [258])
    }
}
