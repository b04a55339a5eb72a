// Prompts and the ids that the model in the tree was trained on (made by the Hugging Face tokenizer it was converted
// from).

struct NeedlePrompt: Sendable {
    let prompt: String
    let ids: [Int32]

    static let all = [short, document]

    static let short = NeedlePrompt(
        prompt: "<|im_start|>user\nThe access code for Lisbon is 58213. Mara Quill works at Harlow Labs. The old "
            + "bridge was quiet in the morning.\n\nWhat is the access code for "
            + "Lisbon?<|im_end|>\n<|im_start|>assistant\n",
        ids: [
            1, 565, 201, 279, 1236, 391, 286, 336, 335, 68, 272, 271, 223, 23, 26, 20, 19, 21, 16, 1570, 1600,
            446, 398, 1856, 1106, 16, 299, 540, 1416, 309, 1275, 313, 263, 1049, 292, 354, 271, 263, 1236, 391,
            286, 336, 335, 68, 272, 33, 2, 201, 1, 566, 201,
        ])

    static let document = NeedlePrompt(
        prompt: "<|im_start|>user\nThe budget review was helpful, and the papers were happy. In the end, the crowded "
            + "profit was left to the machines. Andre Wilson sold a purple carpet to the writer. Remember that "
            + "Marlow Logistics was founded in 1843. If the heat comes, the trees will be popular. The password for"
            + " Fosivon is orchid-pebble. Andre Wilson felt puzzled because the beach was late. Remember that the "
            + "invoice number for Nashville is 60803. For the record, Felix Nash speaks French. Vera Russell "
            + "hesitated always near the traveler. It took 519 days to cross the beach in those days. On Monday, "
            + "the stones found the castle. If the hail comes, the engineers will be helpful. Stir the ramen almost"
            + " and add some cream. The gate code for Cologne is 574. The train to Bilbao whispered loudly near the"
            + " farm. The train to Silmon hesitated together near the question. A potter from Bavus Textiles "
            + "restored the gate. The phone extension for the central bank is 0134556. If the heat comes, the "
            + "machines will be steady. The laundry was crowded and smelled of milk. In the end, the popular farm "
            + "was left to the stones. By March, the cats had found every roof. Sandra Wetosar felt puzzled because"
            + " the photograph was odd. According to the notes, Peter Siswick speaks Danish. A singer from Atlas "
            + "Shipping started the cave. The mouse slept under the large evening. If the heat comes, the engineers"
            + " will be odd. Little is known about the rough photograph of Silmon. The rough hamster laughed "
            + "together across the evening. In the end, the crowded beach was left to the engineers.\n\nDo you know "
            + "the gate code for Cologne?<|im_end|>\n<|im_start|>assistant\n",
        ids: [
            1, 565, 201, 279, 1503, 369, 88, 75, 489, 309, 1090, 82, 666, 14, 319, 263, 1427, 434, 464, 1403,
            16, 430, 263, 866, 14, 263, 1988, 875, 72, 302, 309, 702, 317, 263, 1378, 712, 16, 1504, 1744, 801,
            266, 1627, 1801, 317, 263, 929, 1740, 16, 586, 337, 1791, 1080, 309, 606, 313, 223, 19, 26, 22, 21,
            16, 1217, 263, 1816, 1190, 14, 263, 260, 284, 280, 597, 390, 1901, 16, 299, 443, 286, 361, 487, 363,
            272, 271, 574, 408, 367, 15, 82, 71, 792, 287, 16, 1504, 1744, 1235, 283, 87, 1140, 78, 275, 647,
            263, 2031, 309, 952, 16, 586, 337, 263, 1122, 325, 286, 1445, 668, 271, 223, 24, 18, 26, 18, 21, 16,
            553, 263, 536, 14, 1469, 1445, 784, 361, 730, 408, 16, 1562, 1817, 2046, 2044, 515, 89, 461, 474,
            263, 1354, 262, 16, 470, 1221, 223, 23, 19, 27, 623, 317, 968, 263, 2031, 313, 700, 623, 16, 922,
            318, 272, 505, 14, 263, 340, 272, 280, 568, 263, 1668, 16, 1217, 263, 1958, 1190, 14, 263, 911, 434,
            597, 390, 1090, 82, 666, 16, 1263, 263, 868, 79, 281, 515, 79, 521, 319, 1250, 651, 1142, 338, 16,
            299, 760, 391, 286, 348, 1649, 1386, 271, 223, 23, 25, 22, 16, 299, 719, 317, 332, 307, 68, 67, 81,
            365, 335, 608, 275, 1331, 387, 474, 263, 976, 16, 299, 719, 317, 1414, 1392, 2046, 2044, 932, 474,
            263, 1998, 16, 310, 283, 1551, 728, 332, 358, 331, 1084, 1326, 924, 263, 760, 16, 299, 514, 1107,
            286, 263, 282, 353, 1934, 278, 913, 271, 223, 18, 19, 21, 22, 23, 23, 24, 16, 1217, 263, 1816, 1190,
            14, 263, 1378, 712, 597, 390, 2025, 16, 299, 1544, 301, 477, 309, 1988, 319, 759, 312, 1902, 16,
            430, 263, 866, 14, 263, 1901, 976, 309, 702, 317, 263, 340, 272, 280, 16, 1052, 457, 408, 14, 263,
            1877, 85, 492, 568, 490, 465, 629, 16, 1510, 384, 316, 487, 267, 1235, 283, 87, 1140, 78, 275, 647,
            263, 1917, 309, 296, 903, 16, 589, 317, 263, 582, 14, 1483, 305, 335, 703, 784, 1244, 794, 16, 310,
            269, 1016, 728, 817, 78, 273, 1239, 340, 614, 275, 263, 2039, 16, 299, 290, 610, 879, 1245, 263,
            1969, 1043, 16, 1217, 263, 1816, 1190, 14, 263, 911, 434, 597, 390, 296, 903, 16, 1212, 271, 898,
            448, 263, 2014, 1917, 312, 1414, 1392, 16, 299, 2014, 1418, 306, 262, 1544, 73, 664, 932, 1209, 263,
            1043, 16, 430, 263, 866, 14, 263, 1988, 2031, 309, 702, 317, 263, 911, 434, 292, 841, 463, 392, 263,
            760, 391, 286, 348, 1649, 1386, 33, 2, 201, 1, 566, 201,
        ])
}
