"""A name in each script that the drawing claims to write."""

from __future__ import annotations

OPENCV = {
    "Latin": "Ångström Çelik Đorđević Łukasz",
    "Romanian": "Șerban Țepeș",
    "Vietnamese": "Nguyễn Thị Hương",
    "Cyrillic": "Щукина Алёна Їжак",
    "Greek": "Γιώργος Παπαδόπουλος",
    "Simplified Chinese": "王小明",
    "Traditional Chinese": "陳麗華",
    "Japanese": "佐藤さくら タカハシ",
    "Korean": "홍길동",
}
"""By OpenCV's own font."""

PACKAGES = {
    "Pinyin": "Wáng Xiǎomíng",
    "Azerbaijani": "Əliyev",
    "Hausa": "Ɓala Ƙasim",
    "Old Greek": "Ἀριστοτέλης",
    "Rare Han": "𠮷田 㛃",
    "Arabic": "محمد العربي",
    "Persian": "می‌خواهم",
    "Urdu": "ٹیپو گچ",
    "Hebrew": "דָּוִד כהן",
    "Devanagari": "अमिताभ श्रीकृष्ण",
    "Bengali": "সুভাষ চন্দ্র",
    "Gurmukhi": "ਗੁਰਮੁਖ ਸਿੰਘ",
    "Gujarati": "ગુજરાતી",
    "Oriya": "ଓଡ଼ିଆ",
    "Tamil": "தமிழ்ச்செல்வி",
    "Telugu": "తెలుగు శ్రీ",
    "Kannada": "ಕನ್ನಡ",
    "Malayalam": "മലയാളം",
    "Sinhala": "ශ්‍රී සිංහල",
    "Thai": "สมชาย ใจดี",
    "Lao": "ສົມພອນ",
    "Khmer": "សុខា ខ្មែរ",
    "Burmese": "အောင်ဆန်း",
    "Georgian": "შოთა რუსთაველი",
    "Armenian": "Արամ Խաչատրյան",
    "Amharic": "አበበ ቢቂላ",
    "emoji": "😀👨‍👩‍👧❤️🇩🇪",
}
"""By the packages' fonts."""
