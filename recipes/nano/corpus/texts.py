"""Sentences for the corpus: a template grammar of our own, word lists and public-domain verses.

Everything is plain words and , . ? ! so that no text normaliser is needed later. Deterministic:
the same generator gives the same sentence.
"""

# ruff: noqa: SIM905 - word lists read better as text

import re
from pathlib import Path

import numpy as np

PEOPLE = (
    "Anna Tom Maria Peter Susan David Emma Jack Lucy Henry Grace Oliver Nora Samuel Alice Daniel "
    "Clara Victor Julia Martin Sophie George Helen Robert Laura Frank Rose Simon Karen Paul Linda "
    "Arthur Molly Edward Hannah Philip Teresa Walter Bella Marcus Ruth Oscar Irene Hugo Vera"
).split()
KIN = (
    "my mother,my father,my brother,my sister,our neighbor,the teacher,the doctor,the driver,my boss,"
    "the old man,the young woman,the captain,the farmer,the baker,the children,my friends,"
    "our guests,the whole team,the manager,the new girl,a stranger,the waiter,the nurse,my uncle,"
    "my aunt,the judge,the painter,the postman,the students,the police,your cousin,the singer,"
    "the soldier,the little boy,the engineer,a tall man in a coat,the lady next door,the mayor"
).split(",")
THINGS = (
    "book,letter,cup of tea,yellow umbrella,wooden chair,bicycle,camera,key,phone,blanket,basket,"
    "bottle of water,jacket,guitar,box of matches,map,newspaper,piece of cake,silver ring,suitcase,"
    "ticket,small knife,loaf of bread,pair of shoes,clock,red scarf,mirror,pencil,picture,hammer,"
    "green apple,bowl of soup,computer,radio,candle,bunch of flowers,long rope,pillow,glass jar,"
    "magazine,toothbrush,birthday present,thick rug,ladder,football,kettle,vase,shovel,jigsaw puzzle,"
    "video game,white shirt,bag of oranges,journal,violin,thermometer,chocolate bar,zebra toy"
).split(",")
PLURALS = (
    "books,letters,shoes,potatoes,keys,flowers,boxes,cards,stories,pictures,tickets,stamps,tools,"
    "cookies,socks,windows,dishes,apples,horses,chickens,questions,answers,clouds,ships,bridges,"
    "lights,songs,gloves,mushrooms,berries,engines,curtains,numbers,rules,glasses,feathers"
).split(",")
PLACES = (
    "in the kitchen,at the station,by the river,in the garden,on the roof,at school,near the bridge,"
    "under the table,behind the house,at the market,in the park,on the beach,at the airport,"
    "in the office,on the top shelf,across the street,at the library,in the forest,by the window,"
    "in the middle of the road,on the train,at the corner shop,in the basement,outside the museum,"
    "in front of the church,beside the lake,on the second floor,at the edge of the village,"
    "in a small hotel,over the hill,at the harbor,inside the old castle,down the hall,upstairs"
).split(",")
TIMES = (
    "yesterday,this morning,last night,on Monday,on Friday evening,two weeks ago,every day,at noon,"
    "after dinner,before sunrise,in the afternoon,all winter,once a year,right now,at midnight,"
    "during the storm,on the weekend,last summer,tomorrow,for the first time,again and again,"
    "since Thursday,as usual,just in time,an hour later,when the bell rang,without a word"
).split(",")
PAST = (
    "bought,found,lost,carried,broke,cleaned,dropped,fixed,brought,took,hid,painted,sold,threw away,"
    "picked up,borrowed,forgot,noticed,wrapped,opened,showed me,gave me,returned,pushed,pulled,"
    "wanted,needed,liked,moved,touched,described,chose,measured,caught,saved,shook,folded,used"
).split(",")
BASE = (
    "buy,find,lose,carry,break,clean,drop,fix,bring,take,hide,paint,sell,throw away,pick up,borrow,"
    "forget,notice,wrap,open,return,push,pull,want,need,like,move,touch,choose,measure,catch,save,use"
).split(",")
GERUND = (
    "looking for,waiting for,talking about,thinking of,reading about,asking for,dreaming of,"
    "searching for,paying for,laughing about,worrying about,working on,listening to,choosing"
).split(",")
INTRANSITIVE = (
    "laughed,cried,slept,waited,ran,danced,stayed,worked,sang,walked,smiled,arrived,shouted,"
    "jumped,disappeared,sat down,stood up,woke up,went home,came back,fell over,looked around,"
    "drove off,kept quiet,read aloud,swam,listened,prayed,whistled,yawned,hesitated,turned away"
).split(",")
ADJ = (
    "beautiful,strange,cold,warm,quiet,loud,expensive,cheap,heavy,bright,dark,empty,full,fresh,"
    "dangerous,useful,funny,boring,perfect,terrible,wonderful,simple,difficult,famous,huge,tiny,"
    "soft,hard,clean,dirty,ancient,modern,delicious,sour,slippery,narrow,wide,wet,dry,gentle,"
    "cheerful,lonely,serious,clever,broken,lovely,noisy,ordinary,peculiar,thin,rough,vague,pure"
).split(",")
TOPIC = (
    "weather,food,music,road,house,story,plan,idea,movie,water,garden,street,sky,room,job,view,"
    "city,journey,game,party,answer,question,price,bus,coffee,soup,speech,show,bed,village,wind,"
    "beach,mountain,measure,treasure,thought,voyage,future,culture,machine,language,picture"
).split(",")
ADV = (
    "slowly,quickly,quietly,suddenly,carefully,happily,sadly,really,almost,finally,usually,always,"
    "never,hardly,probably,clearly,gently,nervously,politely,badly,together,alone,away,by accident"
).split(",")
OPENERS = (
    "well,you know,actually,to be honest,of course,by the way,listen,look,okay,anyway,in fact,"
    "as far as I know,believe me,I guess,honestly,for example,first of all,after all,oh dear,"
    "good morning,excuse me,wait a minute,my goodness,thank you,sorry,hello there,yes,no"
).split(",")
CLAUSES = (
    "I think we should leave soon;it is getting late;nobody knows what happened;we have plenty of time;"
    "that was not my fault;you can count on me;I have never seen anything like it;"
    "they will be here any minute;the door was open when I came home;it could be worse;"
    "I just wanted to say thank you;she has changed a lot;he promised to call me back;"
    "there is nothing left to do;we used to live here;everything is going to be fine;"
    "I would rather stay at home;it takes about an hour by car;you should have told me earlier;"
    "the lights went out;my phone is not working;we ran out of milk;the train was late again;"
    "I forgot my password;somebody is knocking at the door;the baby is asleep;"
    "he finally passed the exam;we won the game;they are moving to another city;"
    "the price went up again;it has been raining for days;the soup needs more salt;"
    "I cannot believe it;our flight was cancelled;the dog ate my breakfast;she sings like a bird;"
    "this chair is not very comfortable;you look tired today;I hear music from next door;"
    "we met a long time ago;that sounds like a good idea;I will do it myself;"
    "the meeting starts at nine;there must be another way;I was thinking about you;"
    "he speaks three languages;the museum is closed on Mondays;your dinner is on the table;"
    "I need a new pair of glasses;they found the missing child;my knee hurts when I run;"
    "we could hear the thunder far away;the leaves are turning yellow;nothing tastes better than this"
).split(";")
REASONS = (
    "because it was too late,if you have time,when the rain stops,although it was cold,"
    "so we stayed inside,but nobody listened,and then we went home,while the others were sleeping,"
    "before the guests arrive,as soon as I can,unless you have a better plan,since you asked,"
    "even if it takes all day,until the sun goes down,and that was the end of it,"
    "but I am not sure,because I missed the bus,which surprised everybody,so please be careful"
).split(",")
UNITS = "one two three four five six seven eight nine ten eleven twelve".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
MONTHS = (
    "January February March April May June July August September October November December"
).split()
ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth "
    "fifteenth eighteenth twentieth"
).split()


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


class Grammar:
    """Draws sentences with one numpy generator."""

    def __init__(self, verses: Path | None = None, words: Path | None = None):
        """verses: text file with 'Ge1:1 In the ...' lines; words: one word a line. Both optional."""
        self.verses = _verse_clauses(verses.read_text("utf-8")) if verses else []
        self.words = _plain_words(words.read_text("utf-8")) if words else []

    def text(self, rng: np.random.Generator) -> str:
        """One sentence, or two short ones in four of ten draws."""
        first = self.sentence(rng)
        if rng.random() < 0.4 and len(first) < 45:
            return f"{first} {self.sentence(rng)}"
        return first

    def sentence(self, rng: np.random.Generator) -> str:
        """One sentence, capitalised and punctuated, 2 to about 16 words."""
        draw = rng.random()
        if draw < 0.16 and self.verses:
            return _pick(rng, self.verses)
        if draw < 0.22 and self.words:
            return self._word_list(rng)
        forms = (
            (self._statement, 0.28),
            (self._question, 0.20),
            (self._clause, 0.24),
            (self._exclamation, 0.12),
            (self._number, 0.16),
        )
        weights = np.array([w for _, w in forms])
        form = forms[rng.choice(len(forms), p=weights / weights.sum())][0]
        text = form(rng)
        return text[0].upper() + text[1:]

    def _who(self, rng):
        return _pick(rng, PEOPLE) if rng.random() < 0.4 else _pick(rng, KIN)

    def _object(self, rng):
        draw = rng.random()
        if draw < 0.35:
            return f"the {_pick(rng, THINGS)}"
        if draw < 0.6:
            return _article(_pick(rng, THINGS))
        if draw < 0.8:
            return (
                f"{_pick(rng, ('some', 'the', 'those', 'all the', 'a few'))} {_pick(rng, PLURALS)}"
            )
        return f"the {_pick(rng, ADJ)} {_pick(rng, PLURALS)}"

    def _statement(self, rng):
        kind = rng.integers(6)
        who = self._who(rng)
        if kind == 0:
            text = f"{who} {_pick(rng, PAST)} {self._object(rng)}"
        elif kind == 1:
            text = f"{who} {_pick(rng, INTRANSITIVE)} {_pick(rng, PLACES)}"
        elif kind == 2:
            text = f"the {_pick(rng, TOPIC)} was {_pick(rng, ADJ)} and {_pick(rng, ADJ)}"
        elif kind == 3:
            text = f"we were {_pick(rng, GERUND)} {self._object(rng)}"
        elif kind == 4:
            text = f"I {_pick(rng, PAST)} {self._object(rng)} {_pick(rng, PLACES)}"
        else:
            text = f"{who} {_pick(rng, INTRANSITIVE)} {_pick(rng, ADV)}"
        draw = rng.random()
        if draw < 0.35:
            text += f" {_pick(rng, TIMES)}"
        elif draw < 0.55:
            text += f", {_pick(rng, REASONS)}"
        return text + "."

    def _question(self, rng):
        who = self._who(rng)
        kind = rng.integers(8)
        if kind == 0:
            text = f"did {who} {_pick(rng, BASE)} {self._object(rng)}"
        elif kind == 1:
            text = f"where is {self._object(rng) if rng.random() < 0.3 else who}".replace(
                "is some", "are some"
            )
        elif kind == 2:
            text = f"why is the {_pick(rng, TOPIC)} so {_pick(rng, ADJ)}"
        elif kind == 3:
            text = f"could you {_pick(rng, BASE)} {self._object(rng)} {_pick(rng, PLACES)}"
        elif kind == 4:
            text = f"what do you think about the {_pick(rng, TOPIC)}"
        elif kind == 5:
            text = f"how many {_pick(rng, PLURALS)} do we {_pick(rng, BASE)}"
        elif kind == 6:
            text = f"have you ever been {_pick(rng, GERUND)} {self._object(rng)}"
        else:
            text = f"who {_pick(rng, PAST)} {self._object(rng)} {_pick(rng, TIMES)}"
        return text + "?"

    def _clause(self, rng):
        text = _pick(rng, CLAUSES)
        draw = rng.random()
        if draw < 0.4:
            text = f"{_pick(rng, OPENERS)}, {text}"
        elif draw < 0.65:
            text = f"{text}, {_pick(rng, REASONS)}"
        return text + ("." if rng.random() < 0.85 else "!")

    def _exclamation(self, rng):
        kind = rng.integers(5)
        if kind == 0:
            text = f"what {_article(_pick(rng, ADJ) + ' ' + _pick(rng, TOPIC))}"
        elif kind == 1:
            text = f"do not {_pick(rng, BASE)} {self._object(rng)}"
        elif kind == 2:
            text = f"the {_pick(rng, TOPIC)} is {_pick(rng, ADV)} {_pick(rng, ADJ)}"
        elif kind == 3:
            text = f"please {_pick(rng, BASE)} {self._object(rng)} {_pick(rng, TIMES)}"
        else:
            text = f"{_pick(rng, OPENERS)}, {_pick(rng, PEOPLE)}"
        return text + ("!" if rng.random() < 0.7 else ".")

    def _count(self, rng):
        if rng.random() < 0.6:
            return _pick(rng, UNITS)
        return f"{_pick(rng, TENS)} {_pick(rng, UNITS[:9])}"

    def _number(self, rng):
        kind = rng.integers(6)
        if kind == 0:
            text = f"the meeting is on {_pick(rng, MONTHS)} {_pick(rng, ORDINALS)}"
        elif kind == 1:
            text = f"it costs {self._count(rng)} dollars and {_pick(rng, TENS)} cents"
        elif kind == 2:
            text = (
                f"my number is {' '.join(_pick(rng, UNITS[:9]) for _ in range(rng.integers(3, 7)))}"
            )
        elif kind == 3:
            text = f"we need {self._count(rng)} {_pick(rng, PLURALS)} {_pick(rng, TIMES)}"
        elif kind == 4:
            text = f"the {_pick(rng, ORDINALS)} {_pick(rng, TOPIC)} was the {_pick(rng, ADJ)} one"
        else:
            text = (
                f"{self._who(rng)} was born in nineteen {_pick(rng, TENS)} {_pick(rng, UNITS[:9])}"
            )
        return text + "."

    def _word_list(self, rng):
        count = int(rng.integers(3, 7))
        text = ", ".join(_pick(rng, self.words) for _ in range(count))
        return text[0].upper() + text[1:] + "."


def _pick(rng: np.random.Generator, options):
    return options[int(rng.integers(len(options)))]


def _verse_clauses(text: str) -> list[str]:
    """Clauses of 3 to 14 words between the stops of each verse."""
    out = []
    for line in text.split("\n"):
        _, _, verse = line.partition(" ")
        for part in re.split(r"(?<=[.:;?!])\s+", re.sub(r"[\[\]()]", "", verse)):
            clean = re.sub(r"[^A-Za-z',?!. ]", "", part).strip(" ,'")
            words = clean.split()
            if 3 <= len(words) <= 14 and "'" not in clean:
                stop = clean[-1] if clean[-1] in ".?!" else "."
                clean = clean.rstrip(".?! ")
                out.append(clean[0].upper() + clean[1:] + stop)
    return out


def _plain_words(text: str) -> list[str]:
    """Lower-case words of 3 to 11 letters without apostrophes."""
    return [w for w in text.split() if re.fullmatch(r"[a-z]{3,11}", w)]
